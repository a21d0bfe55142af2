// Virtual calls as C++ makes them: a table of functions behind every object.
#include "runtime.h"
const char name[] = "vcalls";
typedef struct Shape Shape;
typedef struct {
  u32 (*area)(const Shape *);
  void (*grow)(Shape *, u32);
  u32 (*compare)(const Shape *, const Shape *);
} Class;
struct Shape {
  const Class *class;
  u32 a, b, c;
};
#define AREA(s) ((s)->class->area(s))

static u32 area_square(const Shape *s) { return s->a * s->a; }
static u32 area_box(const Shape *s) { return s->a * s->b; }
static u32 area_frame(const Shape *s) { return s->a * s->b - s->c * s->c; }
static u32 area_triangle(const Shape *s) { return s->a * s->b >> 1; }
static u32 area_cube(const Shape *s) { return 6 * s->a * s->a; }
static void grow_all(Shape *s, u32 n) { s->a += n, s->b += n, s->c += n; }
static void grow_one(Shape *s, u32 n) { s->a += n & 7; }
static void grow_turn(Shape *s, u32 n) {
  u32 t = s->a;
  s->a = s->b + n, s->b = s->c, s->c = t;
}
static u32 compare_area(const Shape *s, const Shape *o) {
  return AREA(s) < AREA(o);
}
static u32 compare_side(const Shape *s, const Shape *o) {
  return s->a + s->b < o->a + o->b;
}
static const Class classes[] = {
    {area_square, grow_one, compare_area},  {area_box, grow_all, compare_side},
    {area_frame, grow_turn, compare_area},  {area_triangle, grow_all, compare_area},
    {area_cube, grow_one, compare_side},
};
#define N 1000
static Shape shapes[N];
u32 bench(void) {
  u32 state = 21, sum = 0;
  for (u32 i = 0; i < N; i++)
    shapes[i] = (Shape){&classes[next_random(&state) % 5], i & 31, i % 17, i % 5};
  for (u32 round = 0; round < 6000; round++) {
    for (u32 i = 0; i < N; i++) {
      Shape *s = &shapes[i], *o = &shapes[(i * 7 + round) % N];
      if (s->class->compare(s, o)) s->class->grow(s, round);
      else sum = sum * 31 + AREA(o);
    }
  }
  for (u32 i = 0; i < N; i++) sum = sum * 31 + AREA(&shapes[i]);
  return sum;
}
