// Parsing as of JSON: text to a tree and the tree to text again.
#include "runtime.h"
const char name[] = "json";
enum Kind { NIL, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT };
typedef struct Value {
  enum Kind kind;
  u32 number;          // or a string's length
  const char *text;    // a string
  struct Value *key;   // a member's name
  struct Value *first; // of an array or object
  struct Value *next;
} Value;
#define TEXT (192 * 1024)
static char text[TEXT], again[TEXT];
static Value pool[40000];
static char letters[TEXT];
static u32 used, used_letters;
static const char *at;
static char *out;

static void emit(const char *s) {
  while (*s) *out++ = *s++;
}
static void emit_number(u32 n) {
  char digits[10];
  u32 i = 0;
  do digits[i++] = '0' + n % 10;
  while (n /= 10);
  while (i) *out++ = digits[--i];
}
static void emit_word(u32 r) {
  static const char *const words[8] = {"name", "size\\n", "id", "\\\"quoted\\\"",
                                       "a longer text, with blanks", "\\t",
                                       "value", "x"};
  emit("\"");
  emit(words[r & 7]);
  emit_number(r >> 3 & 63);
  emit("\"");
}
static void generate(u32 depth, u32 *state) {
  u32 r = next_random(state), n = 2 + (r >> 8) % 7;
  switch (depth ? r % 8 : 4 + r % 4) {
  case 0: case 1: case 2: case 3: {
    int object = r & 1;
    emit(object ? "{" : "[");
    for (u32 i = 0; i < n; i++) {
      if (i) emit(", ");
      if (object) {
        emit_word(next_random(state));
        emit(": ");
      }
      generate(depth - 1, state);
    }
    emit(object ? "}" : "]");
    break;
  }
  case 4: emit_number(r >> (r >> 27)); break;
  case 5: emit(r & 64 ? "true" : "false"); break;
  case 6: emit("null"); break;
  default: emit_word(r >> 5);
  }
}

static void blanks(void) {
  while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r') at++;
}
static Value *make(enum Kind kind) {
  Value *v = &pool[used++];
  *v = (Value){.kind = kind};
  return v;
}
static int expect(const char *word) {
  for (; *word; word++)
    if (*at++ != *word) return 0;
  return 1;
}
static Value *parse_string(void) {
  Value *v = make(STRING);
  char *to = letters + used_letters;
  v->text = to;
  for (at++; *at != '"'; at++) {
    char c = *at;
    if (!c) return 0;
    if (c == '\\') switch (c = *++at) {
      case 'n': c = '\n'; break;
      case 't': c = '\t'; break;
      case '"': case '\\': break;
      default: return 0;
    }
    *to++ = c;
  }
  at++;
  v->number = to - v->text;
  used_letters += v->number;
  return v;
}
static Value *parse(void) {
  blanks();
  Value *v;
  switch (*at) {
  case '"': return parse_string();
  case 'n': return expect("null") ? make(NIL) : 0;
  case 't': return expect("true") ? make(TRUE) : 0;
  case 'f': return expect("false") ? make(FALSE) : 0;
  case '[': case '{': {
    char close = *at++ == '{' ? '}' : ']';
    v = make(close == '}' ? OBJECT : ARRAY);
    Value **link = &v->first;
    blanks();
    if (*at == close) return at++, v;
    for (;;) {
      Value *key = 0;
      if (close == '}') {
        blanks();
        if (*at != '"' || !(key = parse_string())) return 0;
        blanks();
        if (*at++ != ':') return 0;
      }
      Value *item = parse();
      if (!item) return 0;
      item->key = key;
      *link = item;
      link = &item->next;
      blanks();
      if (*at == close) return at++, v;
      if (*at++ != ',') return 0;
    }
  }
  default:
    if (*at < '0' || *at > '9') return 0;
    v = make(NUMBER);
    while (*at >= '0' && *at <= '9') v->number = v->number * 10 + *at++ - '0';
    return v;
  }
}

static void print_string(const Value *v) {
  *out++ = '"';
  for (u32 i = 0; i < v->number; i++) {
    char c = v->text[i];
    if (c == '\n') emit("\\n");
    else if (c == '\t') emit("\\t");
    else {
      if (c == '"' || c == '\\') *out++ = '\\';
      *out++ = c;
    }
  }
  *out++ = '"';
}
static void print_value(const Value *v) {
  static const char *const names[] = {"null", "false", "true"};
  switch (v->kind) {
  case NUMBER: emit_number(v->number); break;
  case STRING: print_string(v); break;
  case ARRAY: case OBJECT:
    emit(v->kind == OBJECT ? "{" : "[");
    for (const Value *i = v->first; i; i = i->next) {
      if (i != v->first) emit(", ");
      if (i->key) {
        print_string(i->key);
        emit(": ");
      }
      print_value(i);
    }
    emit(v->kind == OBJECT ? "}" : "]");
    break;
  default: emit(names[v->kind]);
  }
}

u32 bench(void) {
  u32 state = 41, sum = 0;
  // A list of documents, as many as fit with room for one more.
  out = text;
  emit("[0");
  while (out < text + TEXT - 48 * 1024) {
    emit(",\n");
    generate(4, &state);
  }
  emit("]");
  u32 length = out - text;
  *out = 0;
  for (u32 round = 0; round < 200; round++) {
    used = used_letters = 0;
    at = text;
    Value *v = parse();
    if (!v || *at) return at - text;
    out = again;
    print_value(v);
    sum = sum * 31 + used + used_letters + (out - again);
  }
  for (const char *c = again; c < out; c++) sum = sum * 33 ^ *c;
  return sum ^ length;
}
