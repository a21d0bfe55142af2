/*
 * A VNC viewer without a window, made of libvncclient: the other end of the
 * tests. It takes commands from standard input, a line each, and answers with
 * one line:
 *
 *   shot FILE       write the frame buffer as it is; "shot WIDTH HEIGHT UPDATES"
 *   key KEYSYM 0|1  a key goes up or down
 *   scan CODE KEYSYM 0|1  the same with the scan code
 *   pointer X Y MASK
 *
 * Arguments: port, encodings, pixel format (rgba, bgra, 565 or 332), password.
 */
#include <poll.h>
#include <rfb/rfbclient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *password;
static long updates;

static char *get_password(rfbClient *client) {
  (void)client;
  return strdup(password);
}

static void finished(rfbClient *client) {
  (void)client;
  updates++;
}

static void command(rfbClient *client, char *line) {
  char file[512];
  unsigned a, b, c;
  if (sscanf(line, "shot %511s", file) == 1) {
    FILE *out = fopen(file, "wb");
    if (out == NULL) exit(3);
    fwrite(client->frameBuffer, client->format.bitsPerPixel / 8,
           (size_t)client->width * client->height, out);
    fclose(out);
    printf("shot %d %d %ld\n", client->width, client->height, updates);
  } else if (sscanf(line, "key %u %u", &a, &b) == 2) {
    printf("%d\n", SendKeyEvent(client, a, b));
  } else if (sscanf(line, "scan %u %u %u", &a, &b, &c) == 3) {
    printf("%d\n", SendExtendedKeyEvent(client, b, a, c));
  } else if (sscanf(line, "pointer %u %u %u", &a, &b, &c) == 3) {
    printf("%d\n", SendPointerEvent(client, a, b, c));
  } else {
    exit(4);
  }
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc < 4) return 5;
  const char *format = argv[3];
  rfbClient *client = strcmp(format, "565") == 0   ? rfbGetClient(5, 3, 2)
                      : strcmp(format, "332") == 0 ? rfbGetClient(2, 3, 1)
                                                   : rfbGetClient(8, 3, 4);
  if (strcmp(format, "bgra") == 0) {
    client->format.redShift = 16;
    client->format.blueShift = 0;
  }
  if (strcmp(format, "565") == 0) {
    client->format.redMax = client->format.blueMax = 31;
    client->format.greenMax = 63;
    client->format.redShift = 11;
    client->format.greenShift = 5;
    client->format.blueShift = 0;
  }
  if (strcmp(format, "332") == 0) {
    client->format.redMax = client->format.greenMax = 7;
    client->format.blueMax = 3;
    client->format.redShift = 0;
    client->format.greenShift = 3;
    client->format.blueShift = 6;
  }
  client->appData.encodingsString = argv[2];
  client->appData.useRemoteCursor = FALSE;
  client->canHandleNewFBSize = TRUE;
  client->FinishedFrameBufferUpdate = finished;
  password = argc > 4 ? argv[4] : "";
  client->GetPassword = get_password;
  client->serverHost = strdup("127.0.0.1");
  client->serverPort = atoi(argv[1]);
  int none = 0;
  if (!rfbInitClient(client, &none, NULL)) {
    printf("refused\n");
    return 1;
  }
  printf("connected\n");
  fflush(stdout);
  char line[1024];
  size_t length = 0;
  for (;;) {
    struct pollfd fds[2] = {{0, POLLIN, 0}, {client->sock, POLLIN, 0}};
    if (client->buffered == 0 && poll(fds, 2, -1) < 0) return 6;
    if (client->buffered > 0 || fds[1].revents != 0) {
      if (!HandleRFBServerMessage(client)) {
        printf("lost\n");
        return 2;
      }
      continue;
    }
    if (read(0, line + length, 1) != 1) return 0;
    if (line[length] == '\n') {
      line[length] = 0;
      command(client, line);
      length = 0;
    } else if (++length == sizeof line) {
      return 7;
    }
  }
}
