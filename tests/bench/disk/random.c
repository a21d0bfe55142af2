// Reads, or writes, 4 KiB blocks in random order past the page cache: one at a
// time, so that what counts is how long a request takes.
//   random DEVICE MEGABYTES COUNT read|write
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096

static char block[BLOCK] __attribute__((aligned(BLOCK)));

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  int writing = !strcmp(argv[4], "write");
  int file = open(argv[1], (writing ? O_WRONLY : O_RDONLY) | O_DIRECT);
  if (file < 0) {
    perror(argv[1]);
    return 1;
  }
  unsigned blocks = atoi(argv[2]) * (1048576 / BLOCK);
  unsigned x = 1, sum = 0;
  for (int i = atoi(argv[3]); i > 0; i--) {
    x = x * 1664525 + 1013904223;
    off_t at = (off_t)((x >> 8) % blocks) * BLOCK;
    if (writing) memcpy(block, &x, sizeof x);
    ssize_t done = writing ? pwrite(file, block, BLOCK, at)
                           : pread(file, block, BLOCK, at);
    if (done != BLOCK) {
      perror("transfer");
      return 1;
    }
    sum = sum * 31 + *(unsigned *)block + *(unsigned *)(block + BLOCK - 4);
  }
  if (writing && fsync(file) != 0) return 1;
  printf("%08x\n", sum);
  return 0;
}
