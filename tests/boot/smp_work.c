/*
 * Work for several CPUs: threads and processes, one pinned to each CPU, that
 * wait for each other by futexes, pipes, locked instructions, page tables and
 * code. Prints a line for each part: "name ok", or what was wrong.
 *
 * smp_work CPUS
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_CPUS 8
#define PAGE 4096

static int cpus;
static pthread_barrier_t barrier;
static volatile int wrong;

static void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    perror("sched_setaffinity");
    exit(1);
  }
  if (sched_getcpu() != cpu) wrong++;
}

static void report(const char *name, long long value, long long expected) {
  if (value == expected && wrong == 0) printf("%s ok\n", name);
  else printf("%s: %lld, not %lld, %d wrong\n", name, value, expected, wrong);
  fflush(stdout);
  wrong = 0;
}

/* A thread on each CPU, until all have ended. */
static void on_all(void *(*thread)(void *)) {
  pthread_t threads[MAX_CPUS];
  for (long i = 0; i < cpus; i++) {
    if (pthread_create(&threads[i], NULL, thread, (void *)i) != 0) exit(1);
  }
  for (int i = 0; i < cpus; i++) pthread_join(threads[i], NULL);
}

/* A mutex and a condition: futexes. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;
static long counted;

static void *take_turns(void *arg) {
  int me = (long)arg;
  pin(me);
  for (int i = 0; i < 200; i++) {
    pthread_mutex_lock(&mutex);
    while (turn != me) pthread_cond_wait(&changed, &mutex);
    turn = (me + 1) % cpus;
    counted = (counted * 3 + me) & 0xffffff;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void *count_under_lock(void *arg) {
  pin((long)arg);
  for (int i = 0; i < 20000; i++) {
    pthread_mutex_lock(&mutex);
    counted++;
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

/* LOCK XADD, and a list that LOCK CMPXCHG builds. */
struct node {
  struct node *next;
};
static struct node *list;
static int32_t added32;
static int64_t added64;

static void *count_atomically(void *arg) {
  static struct node nodes[MAX_CPUS][5000];
  int me = (long)arg;
  pin(me);
  for (int i = 0; i < 5000; i++) {
    __atomic_fetch_add(&added32, 3, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&added64, 0x100000001LL, __ATOMIC_SEQ_CST);
    struct node *node = &nodes[me][i];
    node->next = __atomic_load_n(&list, __ATOMIC_SEQ_CST);
    while (!__atomic_compare_exchange_n(&list, &node->next, node, 0,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
  }
  return NULL;
}

/* Two locations: at least one of two CPUs sees what the other has stored. */
static volatile int flag[2], seen[2];

static void *store_and_look(void *arg) {
  int me = (long)arg;
  pin(me);
  for (int i = 0; i < 300; i++) {
    if (me < 2) flag[me] = 0;
    pthread_barrier_wait(&barrier);
    if (me < 2) {
      flag[me] = 1;
      __atomic_thread_fence(__ATOMIC_SEQ_CST);
      seen[me] = flag[1 - me];
    }
    pthread_barrier_wait(&barrier);
    if (me == 0 && cpus > 1 && seen[0] + seen[1] == 0) wrong++;
  }
  return NULL;
}

/* The clock, which no CPU sees run backwards. */
static struct timespec last;

static void *read_clock(void *arg) {
  pin((long)arg);
  for (int i = 0; i < 2000; i++) {
    pthread_mutex_lock(&mutex);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec < last.tv_sec ||
        (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec)) {
      wrong++;
    }
    last = now;
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

/* A page that all write, and whose rights the first one takes and gives. */
static volatile uint32_t *page;
static volatile int done;
static volatile long faults;

static void on_fault(int signal) {
  (void)signal;
  __atomic_fetch_add(&faults, 1, __ATOMIC_SEQ_CST);
  sched_yield();
}

static void *write_page(void *arg) {
  int me = (long)arg;
  pin(me);
  if (me != 0) {
    while (!done) __atomic_fetch_add(&page[me], 1, __ATOMIC_SEQ_CST);
    return NULL;
  }
  for (int i = 0; i < 50; i++) {
    uint32_t before[MAX_CPUS];
    mprotect((void *)page, PAGE, PROT_READ);
    memcpy(before, (void *)page, sizeof before);
    usleep(2000);
    if (memcmp(before, (void *)page, sizeof before) != 0) wrong++;
    mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE);
    usleep(1000);
  }
  done = 1;
  return NULL;
}

/* A function that one CPU changes and all call: mov eax, N; ret. */
static uint8_t *code;

static void *call_changed(void *arg) {
  int me = (long)arg;
  pin(me);
  for (int i = 0; i < 200; i++) {
    if (i % cpus == me) {
      int value = i * 7 + 1;
      code[0] = 0xb8;
      memcpy(code + 1, &value, 4);
      code[5] = 0xc3;
    }
    pthread_barrier_wait(&barrier);
    int got = ((int (*)(void))code)();
    if (got != i * 7 + 1) wrong++;
    pthread_barrier_wait(&barrier);
  }
  return NULL;
}

/* Registers of every kind, over switches between threads. */
static double sums[MAX_CPUS];
static long double long_sums[MAX_CPUS];

static void *compute(void *arg) {
  int me = (long)arg;
  pin(me);
  double sum = 0;
  long double long_sum = 0;
  for (int i = 1; i < 20000; i++) {
    sum += 1.0 / i;
    long_sum += 1.0L / i;
    if (i % 500 == 0) sched_yield();
  }
  sums[me] = sum;
  long_sums[me] = long_sum;
  return NULL;
}

/* A token that goes round processes, a pipe between each two. */
static long long ring(void) {
  int pipes[MAX_CPUS][2];
  for (int i = 0; i < cpus; i++) {
    if (pipe(pipes[i]) != 0) return -1;
  }
  for (int i = 1; i < cpus; i++) {
    if (fork() != 0) continue;
    pin(i);
    for (int round = 0; round < 300; round++) {
      int token;
      if (read(pipes[i - 1][0], &token, sizeof token) != sizeof token) exit(1);
      token = (int)(token * 5u + i);
      if (write(pipes[i][1], &token, sizeof token) != sizeof token) exit(1);
    }
    exit(wrong != 0);
  }
  pin(0);
  int token = 1;
  for (int round = 0; round < 300; round++) {
    if (write(pipes[0][1], &token, sizeof token) != sizeof token) return -1;
    if (read(pipes[cpus - 1][0], &token, sizeof token) != sizeof token) return -1;
  }
  for (int i = 1; i < cpus; i++) {
    int status;
    if (wait(&status) < 0 || status != 0) wrong++;
  }
  return token;
}

int main(int argc, char **argv) {
  cpus = argc > 1 ? atoi(argv[1]) : 1;
  if (cpus < 1 || cpus > MAX_CPUS) return 2;
  pthread_barrier_init(&barrier, NULL, cpus);

  long expected = 0;
  for (int i = 0; i < 200; i++) {
    for (int me = 0; me < cpus; me++) expected = (expected * 3 + me) & 0xffffff;
  }
  on_all(take_turns);
  report("turns", counted, expected);
  counted = 0;
  on_all(count_under_lock);
  report("mutex", counted, 20000L * cpus);
  on_all(count_atomically);
  int length = 0;
  for (struct node *node = list; node != NULL; node = node->next) length++;
  if (length != 5000 * cpus || added32 != 15000 * cpus) wrong++;
  report("atomic", added64, 0x100000001LL * 5000 * cpus);
  on_all(store_and_look);
  report("order", 0, 0);
  on_all(read_clock);
  report("clock", 0, 0);

  const int rights = PROT_READ | PROT_WRITE;
  const int kind = MAP_PRIVATE | MAP_ANONYMOUS;
  page = mmap(NULL, PAGE, rights, kind, -1, 0);
  signal(SIGSEGV, on_fault);
  on_all(write_page);
  signal(SIGSEGV, SIG_DFL);
  report("rights", faults > 0, cpus > 1);
  code = mmap(NULL, PAGE, rights | PROT_EXEC, kind, -1, 0);
  on_all(call_changed);
  report("code", 0, 0);
  on_all(compute);
  for (int i = 1; i < cpus; i++) {
    if (sums[i] != sums[0] || long_sums[i] != long_sums[0]) wrong++;
  }
  report("registers", (long long)(sums[0] * 1e9), 10480678217LL);

  int token = 1;
  for (int round = 0; round < 300; round++) {
    for (int i = 1; i < cpus; i++) token = (int)(token * 5u + i);
  }
  report("ring", ring(), token);
#ifdef __x86_64__
  printf("level %d\n",
         !__builtin_cpu_supports("x86-64-v2")   ? 1
         : !__builtin_cpu_supports("x86-64-v3") ? 2
                                                : 3);
#endif
  return 0;
}
