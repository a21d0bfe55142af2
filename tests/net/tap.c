/* Carries Ethernet frames between a tap device and stdin/stdout, each frame
 * behind its length in two bytes, high one first. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int whole(int fd, uint8_t *at, size_t left, int writing) {
  while (left > 0) {
    ssize_t n = writing ? write(fd, at, left) : read(fd, at, left);
    if (n <= 0) return 0;
    at += n;
    left -= n;
  }
  return 1;
}

int main(int argc, char **argv) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
  static uint8_t frame[65536 + 2];
  int tap = open("/dev/net/tun", O_RDWR);
  if (argc != 2 || tap < 0) return perror("/dev/net/tun"), 1;
  strncpy(request.ifr_name, argv[1], IFNAMSIZ - 1);
  if (ioctl(tap, TUNSETIFF, &request) < 0) return perror(argv[1]), 1;
  for (;;) {
    struct pollfd polled[2] = {{tap, POLLIN, 0}, {0, POLLIN, 0}};
    if (poll(polled, 2, -1) < 0) return 1;
    if (polled[0].revents & POLLIN) {
      ssize_t n = read(tap, frame + 2, sizeof frame - 2);
      if (n < 0) return perror("tap"), 1;
      frame[0] = n >> 8;
      frame[1] = n;
      if (!whole(1, frame, n + 2, 1)) return 0;
    }
    if (polled[1].revents) {
      if (!whole(0, frame, 2, 0)) return 0;
      size_t n = frame[0] << 8 | frame[1];
      if (!whole(0, frame + 2, n, 0)) return 0;
      if (write(tap, frame + 2, n) < 0) perror("tap");
    }
  }
}
