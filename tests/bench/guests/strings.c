// A hash table with strings for keys: chains, byte comparisons, resizing.
#include "runtime.h"
const char name[] = "strings";
typedef struct Node {
  struct Node *next;
  u32 hash, value, length;
  char text[];
} Node;
#define ARENA (12u << 20)
static u8 arena[ARENA] __attribute__((aligned(16)));
static u32 used, size, count;
static Node **slots;

static void *allocate(u32 bytes) {
  void *at = arena + used;
  used += (bytes + 7) & ~7u;
  return at;
}
static void resize(u32 wanted) {
  Node **old = slots;
  slots = allocate(wanted * sizeof *slots);
  for (u32 i = 0; i < wanted; i++) slots[i] = 0;
  for (u32 i = 0; i < size; i++)
    for (Node *n = old[i], *next; n; n = next) {
      next = n->next;
      n->next = slots[n->hash & (wanted - 1)];
      slots[n->hash & (wanted - 1)] = n;
    }
  size = wanted;
}
static u32 hash(const char *s) {
  u32 h = 2166136261u;
  for (; *s; s++) h = (h ^ (u8)*s) * 16777619u;
  return h;
}
static int same(const char *a, const char *b) {
  for (; *a && *a == *b; a++, b++) {
  }
  return *a == *b;
}
static Node **find(const char *key, u32 h) {
  Node **at = &slots[h & (size - 1)];
  while (*at && !((*at)->hash == h && same((*at)->text, key))) at = &(*at)->next;
  return at;
}
static void add(const char *key, u32 value) {
  u32 h = hash(key), length = 0;
  Node **at = find(key, h);
  if (*at) {
    (*at)->value += value;
    return;
  }
  while (key[length]) length++;
  Node *n = allocate(sizeof *n + length + 1);
  for (u32 i = 0; i <= length; i++) n->text[i] = key[i];
  n->next = 0, n->hash = h, n->value = value, n->length = length;
  *at = n;
  if (++count > size) resize(size * 2);
}
static u32 take(const char *key) {
  Node **at = find(key, hash(key)), *n = *at;
  if (!n) return 0;
  *at = n->next;
  count--;
  return n->value + n->length;
}
// A word made of syllables: many share their beginning.
static void word(char *to, u32 n) {
  static const char syllables[16][4] = {"ba", "ke", "tin", "so", "ru", "mal",
                                        "e",  "dor", "pi", "xan", "lo", "wu",
                                        "fer", "gi", "ha", "nos"};
  for (u32 i = 0; i < 5; i++, n >>= 3)
    for (const char *s = syllables[(n + i) & 15]; *s;) *to++ = *s++;
  *to = 0;
}
u32 bench(void) {
  u32 sum = 0, state = 31;
  char key[32];
  for (u32 round = 0; round < 14; round++) {
    used = size = count = 0;
    resize(16);
    for (u32 i = 0; i < 100000; i++) {
      word(key, next_random(&state) & 0x7fff);
      add(key, i);
    }
    for (u32 i = 0; i < 60000; i++) {
      word(key, next_random(&state) & 0xffff);
      if (i % 3 == 0) sum = sum * 31 + take(key);
      else {
        Node *n = *find(key, hash(key));
        if (n) sum = sum * 31 + n->value;
      }
    }
    sum ^= count;
  }
  return sum;
}
