/* The hot loops of `mailwhy batch`, for which Python takes ten times as long.
 *
 * Nothing here knows a format: texts, what they tell of their lines, and which of the ways a delivery is cut out by are given by
 * analyzer/batch/sift.py, and every function does what its twin in Python does (net.py, deliveries.py, gather.py, heads.py), which
 * takes over where this file was not compiled.  All that is read lies in [block, block + length); offsets are 32 bits.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define WITH_AVX2 1
#endif

#define PUBLIC __attribute__((visibility("default")))
#define LEAST 3 /* bytes of a text */
#define AHEAD_OF 4 /* bytes of its beginning that are looked at first */
#define BEGINS 15 /* bits of a hash of its beginning */

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

/* ---- growing arrays ------------------------------------------------------------------------------------------------ */
typedef struct {
    u32 *at;
    size_t used, room;
} List;

static int list_room(List *list, size_t more) {
    if (list->used + more <= list->room) return 1;
    size_t room = (list->used + more) * 2 + 64;
    u32 *at = realloc(list->at, room * sizeof *at);
    if (!at) return 0;
    list->at = at;
    list->room = room;
    return 1;
}

static inline int put(List *list, u32 value) {
    if (list->used == list->room && !list_room(list, 1)) return 0;
    list->at[list->used++] = value;
    return 1;
}

/* *at* with room for more than *used* things of *width* bytes; NULL where memory is short. */
static void *one_more(void *at, u32 *room, u64 used, size_t width) {
    if (used < *room) return at;
    u32 more = *room * 2 + 16;
    void *grown = realloc(at, more * width);
    if (grown) *room = more;
    return grown;
}

typedef struct {
    u8 *at;
    size_t used, room;
} Bytes;

static u8 *bytes_room(Bytes *b, size_t more) {
    if (b->used + more > b->room) {
        size_t room = (b->used + more) * 2 + 256;
        u8 *at = realloc(b->at, room);
        if (!at) return NULL;
        b->at = at;
        b->room = room;
    }
    return b->at + b->used;
}

static int bytes_put(Bytes *b, const u8 *what, size_t n, u8 behind) {
    u8 *at = bytes_room(b, n + 1);
    if (!at) return 0;
    memcpy(at, what, n);
    at[n] = behind;
    b->used += n + 1;
    return 1;
}

/* ---- where lines end ------------------------------------------------------------------------------------------------ */
#define WINDOW 4096 /* bytes */
#define SPARE 4 /* places that may be written behind the last one */

typedef struct {
    const u8 *block;
    u32 length, done, used, count; /* done: so far the block was searched */
    u32 ends[WINDOW + SPARE];
} Ends;

static void ends_begin(Ends *e, const u8 *block, u32 length, u32 from) {
    e->block = block;
    e->length = length;
    e->done = from;
    e->used = e->count = 0;
}

static u32 search_plainly(Ends *e) {
    u32 count = 0, from = e->done;
    e->done = e->length - from > WINDOW ? from + WINDOW : e->length;
    for (const u8 *p = e->block + from, *last = e->block + e->done; p < last && (p = memchr(p, '\n', (size_t)(last - p))); p++)
        e->ends[count++] = (u32)(p - e->block);
    return count;
}

#ifdef WITH_AVX2
#define FAST __attribute__((target("avx2,bmi,popcnt")))

static inline int is_fast(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt"); }

/* The places of the ones in *may*, from *from* on, to *places*; how many there are.  *least* (SPARE at most) are written anyway, as most
 * masks have no more, and that takes no branch. */
FAST static inline u32 list_places(u64 may, u32 from, u32 least, u32 *places) {
    u32 n = (u32)__builtin_popcountll(may), k = 0;
    for (; k < least; k++, may &= may - 1) places[k] = from + (u32)_tzcnt_u64(may);
    for (; k < n; k++, may &= may - 1) places[k] = from + (u32)_tzcnt_u64(may);
    return n;
}

FAST static inline u32 ends_at(const u8 *at) {
    return (u32)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)at), _mm256_set1_epi8('\n')));
}

FAST static u32 search_fast(Ends *e) {
    u32 count = 0, at = e->done;
    for (u32 n = 0; n < WINDOW / 64 && e->length - at >= 64; n++, at += 64)
        count += list_places(ends_at(e->block + at) | (u64)ends_at(e->block + at + 32) << 32, at, 2, e->ends + count);
    e->done = at;
    return count;
}
#endif

/* Where the next line ends; the last one may end with the block. */
static inline u32 next_end(Ends *e) {
    while (e->used == e->count) {
        if (e->done == e->length) return e->length;
        e->used = e->count = 0;
#ifdef WITH_AVX2
        if (e->length - e->done >= 64 && is_fast()) e->count = search_fast(e);
        else
#endif
            e->count = search_plainly(e);
    }
    return e->ends[e->used++];
}

/* ---- hashing: seeded, so that strangers cannot make names collide ---------------------------------------------------- */
static inline u64 mixed(u64 a, u64 b) {
    __uint128_t product = (__uint128_t)a * b;
    return (u64)product ^ (u64)(product >> 64);
}

static inline u64 some(const u8 *p, size_t n) { /* the next n <= 8 bytes */
    u64 value = 0;
    memcpy(&value, p, n);
    return value;
}

static inline int same(const u8 *a, const u8 *b, size_t n) { /* of few bytes: without a call */
    for (; n >= 8; a += 8, b += 8, n -= 8)
        if (some(a, 8) != some(b, 8)) return 0;
    for (; n; a++, b++, n--)
        if (*a != *b) return 0;
    return 1;
}

static u64 hashed(const u8 *p, size_t n, u64 seed) {
    u64 h = seed ^ (n * 0x9E3779B97F4A7C15u);
    for (; n > 8; p += 8, n -= 8) h = mixed(h ^ some(p, 8), 0xA0761D6478BD642Fu ^ seed);
    return mixed(h ^ some(p, n), 0xE7037ED1A0B428DBu ^ (seed << 1));
}

/* ---- many texts at once ---------------------------------------------------------------------------------------------- */
typedef struct {
    const u8 *text;
    u32 length, group, number;
    int32_t next; /* of those that begin alike: longest first */
} Text;

typedef struct {
    u32 count, groups;
    Text *texts;
    u8 *bytes;
    int32_t *table; /* by the first three bytes */
    u32 mask;
    u64 kept;                       /* of the first eight bytes of a text those that every text has, as a mask */
    u64 begins[1 << (BEGINS - 6)];  /* whether these may begin a text, a bit each */
    u8 first[AHEAD_OF][256]; /* which of eight buckets a byte may stand in, by its place */
    u8 low[AHEAD_OF][16], high[AHEAD_OF][16];
} Texts;

static inline u32 three(const u8 *p) { return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16; }
static inline u32 slot_of(u32 key, u32 mask) { return (key * 0x9E3779B1u >> 12) & mask; }
static inline u32 bit_of_begin(u64 begin) { return (u32)(begin * 0x9E3779B97F4A7C15u >> (64 - BEGINS)); }
static inline u32 bit(const u64 *bits, u64 number) { return (u32)(bits[number >> 6] >> (number & 63) & 1); }
static inline void set_bit(u64 *bits, u64 number) { bits[number >> 6] |= 1ull << (number & 63); }

static int longer_first(const void *a, const void *b) {
    const Text *one = a, *other = b;
    return one->length < other->length ? 1 : one->length > other->length ? -1 : one->number < other->number ? -1 : 1;
}

static int by_bytes(const void *a, const void *b) {
    const Text *one = *(const Text *const *)a, *other = *(const Text *const *)b;
    u32 n = one->length < other->length ? one->length : other->length;
    int order = memcmp(one->text, other->text, n);
    return order ? order : (one->length > other->length) - (one->length < other->length);
}

PUBLIC void texts_free(Texts *t) {
    if (!t) return;
    free(t->texts);
    free(t->bytes);
    free(t->table);
    free(t);
}

/* *count* texts, one after the other in *bytes*, each of *lengths* and of one of the *groups*: those of a group never overlap. */
PUBLIC Texts *texts_new(u32 count, const u8 *bytes, const u32 *lengths, const u8 *groups) {
    Texts *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    size_t total = 0;
    u32 shortest = 8;
    for (u32 i = 0; i < count; i++) {
        if (lengths[i] < LEAST || groups[i] > 7) goto failed;
        if (lengths[i] < shortest) shortest = lengths[i];
        total += lengths[i];
    }
    t->kept = ~0ull >> (64 - shortest * 8);
    u32 size = 256;
    while (size < count * 8) size *= 2;
    t->count = count;
    t->mask = size - 1;
    t->texts = calloc(count + 1, sizeof *t->texts);
    t->bytes = malloc(total + 1);
    t->table = malloc(size * sizeof *t->table);
    Text **order = malloc((count + 1) * sizeof *order);
    if (!t->texts || !t->bytes || !t->table || !order) {
        free(order);
        goto failed;
    }
    memcpy(t->bytes, bytes, total);
    memset(t->table, -1, size * sizeof *t->table);
    const u8 *at = t->bytes;
    for (u32 i = 0; i < count; at += lengths[i++]) t->texts[i] = (Text){at, lengths[i], groups[i], i, -1};
    qsort(t->texts, count, sizeof *t->texts, longer_first);
    for (u32 i = count; i-- > 0;) {
        int32_t *head = &t->table[slot_of(three(t->texts[i].text), t->mask)];
        t->texts[i].next = *head;
        *head = (int32_t)i;
        set_bit(t->begins, bit_of_begin(some(t->texts[i].text, shortest)));
        order[i] = &t->texts[i];
    }
    qsort(order, count, sizeof *order, by_bytes);
    for (u32 i = 0; i < count; i++) { /* what begins alike shares a bucket: fewer false alarms */
        u8 bucket = (u8)(1u << (u64)i * 8 / count);
        for (u32 n = 0; n < AHEAD_OF; n++)
            for (u32 c = 0; c < 256; c++) {
                if (n < order[i]->length && c != order[i]->text[n]) continue;
                t->first[n][c] |= bucket;
                t->low[n][c & 15] |= bucket;
                t->high[n][c >> 4] |= bucket;
            }
    }
    free(order);
    return t;
failed:
    texts_free(t);
    return NULL;
}

typedef struct {
    u32 until[8]; /* by group: where the last find ends */
    List *hits;   /* number, start, end */
} Finds;

/* The texts that stand at *at*: of each group the longest, if it does not overlap the last one. */
static inline int stands(const Texts *t, const u8 *block, u32 length, u32 at, Finds *f) {
    u32 key = three(block + at);
    u32 seen = 0;
    for (int32_t i = t->table[slot_of(key, t->mask)]; i >= 0; i = t->texts[i].next) {
        const Text *text = &t->texts[i];
        if (three(text->text) != key || text->length > length - at || seen & (1u << text->group) || at < f->until[text->group] ||
            !same(text->text + LEAST, block + at + LEAST, text->length - LEAST))
            continue;
        seen |= 1u << text->group;
        f->until[text->group] = at + text->length;
        if (!list_room(f->hits, 3)) return 0;
        f->hits->at[f->hits->used++] = text->number;
        f->hits->at[f->hits->used++] = at;
        f->hits->at[f->hits->used++] = at + text->length;
    }
    return 1;
}

static int find_plainly(const Texts *t, const u8 *block, u32 length, u32 at, Finds *f) {
    for (; at + LEAST <= length; at++) {
        u8 both = t->first[0][block[at]] & t->first[1][block[at + 1]] & t->first[2][block[at + 2]];
        if (both && !stands(t, block, length, at, f)) return 0;
    }
    return 1;
}

#ifdef WITH_AVX2
/* In which of the 32 places from *at* on bytes stand that may begin a text of one bucket. */
FAST static inline u32 may_begin(const u8 *at, const __m256i low[AHEAD_OF], const __m256i high[AHEAD_OF]) {
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i both = _mm256_set1_epi8(-1);
    for (int n = 0; n < AHEAD_OF; n++) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(at + n));
        __m256i l = _mm256_shuffle_epi8(low[n], _mm256_and_si256(bytes, nibble));
        __m256i h = _mm256_shuffle_epi8(high[n], _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble));
        both = _mm256_and_si256(both, _mm256_and_si256(l, h));
    }
    return ~(u32)_mm256_movemask_epi8(_mm256_cmpeq_epi8(both, _mm256_setzero_si256()));
}

/* A window at a time, in steps without branches that depend on the text, as what a processor guesses wrong takes longer than the work:
 * in which places bytes stand that may begin a text of one bucket, as masks; where these are; those of them where the hash of all that is
 * kept of a beginning is a text's. */
#define MARGIN 8 /* bytes that are looked at behind a place */

FAST static int find_fast(const Texts *t, const u8 *block, u32 length, Finds *f) {
    __m256i low[AHEAD_OF], high[AHEAD_OF];
    for (int n = 0; n < AHEAD_OF; n++) {
        low[n] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)t->low[n]));
        high[n] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)t->high[n]));
    }
    u64 masks[WINDOW / 64];
    u32 places[WINDOW + SPARE], at = 0, count;
    for (; (u64)at + 64 + MARGIN <= length; at += count * 64) {
        count = (length - at - MARGIN) / 64;
        if (count > WINDOW / 64) count = WINDOW / 64;
        for (u32 i = 0; i < count; i++) {
            const u8 *from = block + at + i * 64;
            masks[i] = may_begin(from, low, high) | (u64)may_begin(from + 32, low, high) << 32;
        }
        u32 some_places = 0, left = 0;
        for (u32 i = 0; i < count; i++) some_places += list_places(masks[i], at + i * 64, SPARE, places + some_places);
        for (u32 i = 0; i < some_places; i++) {
            places[left] = places[i];
            left += bit(t->begins, bit_of_begin(some(block + places[i], 8) & t->kept));
        }
        for (u32 i = 0; i < left; i++)
            if (!stands(t, block, length, places[i], f)) return 0;
    }
    return find_plainly(t, block, length, at, f);
}
#endif

static int find(const Texts *t, const u8 *block, u32 length, List *hits) {
    Finds f = {{0}, hits};
    hits->used = 0;
    if (!t->count) return 1;
#ifdef WITH_AVX2
    if (is_fast()) return find_fast(t, block, length, &f);
#endif
    return find_plainly(t, block, length, 0, &f);
}

/* ---- few texts ------------------------------------------------------------------------------------------------------- */
#define MOST_FEW 8

/* Which of a few texts stand at a place: of each two bytes, at *one* and *other*, are looked for before all. */
typedef struct {
    const u8 *text;
    u32 length, one, other;
} Pair;

/* The number of the first of *texts* from the one numbered *which* that stands at *at*, or MOST_FEW. */
static inline u32 text_at(const Pair *texts, u32 count, u32 which, const u8 *block, u32 length, u32 at) {
    for (; which < count; which++)
        if (texts[which].length <= length - at && same(block + at, texts[which].text, texts[which].length)) return which;
    return MOST_FEW;
}

#ifdef WITH_AVX2
/* As `few_find` from the place *at* on, so far as the longest text leads nowhere behind the block; *at*: how far that was.  *count* is
 * known where this is compiled into each caller, so that what is compared with stays in registers. */
FAST static inline __attribute__((always_inline)) u32 few_of(const Pair *texts, const u32 count, u32 longest, const u8 *block, u32 length,
                                                             u32 *at) {
    __m256i one[MOST_FEW], other[MOST_FEW];
    u32 ones[MOST_FEW], others[MOST_FEW];
    for (u32 i = 0; i < count; i++) {
        ones[i] = texts[i].one;
        others[i] = texts[i].other;
        one[i] = _mm256_set1_epi8((char)texts[i].text[ones[i]]);
        other[i] = _mm256_set1_epi8((char)texts[i].text[others[i]]);
    }
    for (; (u64)*at + longest + 31 <= length; *at += 32) {
        const u8 *from = block + *at;
        __m256i any = _mm256_setzero_si256();
        for (u32 i = 0; i < count; i++) {
            __m256i a = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(from + ones[i])), one[i]);
            __m256i b = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(from + others[i])), other[i]);
            any = _mm256_or_si256(any, _mm256_and_si256(a, b));
        }
        for (u32 may = (u32)_mm256_movemask_epi8(any); may; may &= may - 1) {
            u32 place = *at + _tzcnt_u32(may), which = text_at(texts, count, 0, block, length, place);
            if (which == MOST_FEW) continue;
            *at = place;
            return which;
        }
    }
    return MOST_FEW;
}

FAST static u32 few_fast(const Pair *texts, u32 count, u32 longest, const u8 *block, u32 length, u32 *at) {
    switch (count) {
    case 1: return few_of(texts, 1, longest, block, length, at);
    case 2: return few_of(texts, 2, longest, block, length, at);
    case 3: return few_of(texts, 3, longest, block, length, at);
    case 4: return few_of(texts, 4, longest, block, length, at);
    case 5: return few_of(texts, 5, longest, block, length, at);
    case 6: return few_of(texts, 6, longest, block, length, at);
    case 7: return few_of(texts, 7, longest, block, length, at);
    default: return few_of(texts, MOST_FEW, longest, block, length, at);
    }
}
#endif

/* Whether `few_find` is faster here than other searches. */
PUBLIC int few_helps(void) {
#ifdef WITH_AVX2
    return is_fast();
#else
    return 0;
#endif
}

/* Where the first of *count* texts stands from *from* on: the place and the text's number, as place * MOST_FEW + number; *from* is such
 * too.  *texts*: one after the other; *numbers*: of each its length, which is 2 at least, and which two of its bytes are the rarest.
 * -1: nowhere. */
PUBLIC int64_t few_find(const u8 *block, u32 length, int64_t from, const u8 *texts, const u32 *numbers, u32 count) {
    Pair pairs[MOST_FEW];
    u32 longest = 0, at = (u32)(from / MOST_FEW), which = (u32)(from % MOST_FEW);
    for (u32 i = 0; i < count; i++, texts += *numbers, numbers += 3) {
        pairs[i] = (Pair){texts, numbers[0], numbers[1], numbers[2]};
        if (numbers[0] > longest) longest = numbers[0];
    }
    if (which) { /* others at the same place */
        if (at < length && (which = text_at(pairs, count, which, block, length, at)) < MOST_FEW) return (int64_t)at * MOST_FEW + which;
        at++;
    }
#ifdef WITH_AVX2
    if (few_helps() && (which = few_fast(pairs, count, longest, block, length, &at)) < MOST_FEW) return (int64_t)at * MOST_FEW + which;
#endif
    for (; at < length; at++)
        if ((which = text_at(pairs, count, 0, block, length, at)) < MOST_FEW) return (int64_t)at * MOST_FEW + which;
    return -1;
}

/* ---- a set of names of one length ------------------------------------------------------------------------------------ */
typedef struct {
    u8 *names;
    u32 *table; /* number of the name + 1 */
    u64 *bits;  /* whether a name may be there, by hash: most that is asked for is not, and these are few enough to stay near */
    u32 width, mask, shift;
    u64 seed;
} Names;

PUBLIC void names_free(Names *s) {
    if (!s) return;
    free(s->names);
    free(s->table);
    free(s->bits);
    free(s);
}

PUBLIC Names *names_new(u32 count, u32 width, const u8 *names, u64 seed) {
    Names *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    u32 size = 16;
    while (size < count * 2) size *= 2;
    s->width = width;
    s->mask = size - 1;
    s->seed = seed;
    s->names = malloc((size_t)count * width + 1);
    s->table = calloc(size, sizeof *s->table);
    s->bits = calloc(size * 8ull / 64, sizeof *s->bits);
    s->shift = 64 - (u32)__builtin_ctzll(size * 8ull);
    if (!s->names || !s->table || !s->bits) {
        names_free(s);
        return NULL;
    }
    memcpy(s->names, names, (size_t)count * width);
    for (u32 i = 0; i < count; i++) {
        u64 hash = hashed(s->names + (size_t)i * width, width, seed);
        set_bit(s->bits, hash >> s->shift);
        u32 at = (u32)hash & s->mask;
        while (s->table[at]) at = (at + 1) & s->mask;
        s->table[at] = i + 1;
    }
    return s;
}

static inline int holds(const Names *s, const u8 *name) {
    u64 hash = hashed(name, s->width, s->seed);
    if (!bit(s->bits, hash >> s->shift)) return 0;
    for (u32 at = (u32)hash & s->mask; s->table[at]; at = (at + 1) & s->mask)
        if (same(s->names + (size_t)(s->table[at] - 1) * s->width, name, s->width)) return 1;
    return 0;
}

/* ---- what was cut out of deliveries, counted --------------------------------------------------------------------------- */
typedef struct {
    u8 *bytes;
    size_t used, room;
    size_t *begins; /* of each key, and where the last one ends */
    u32 *counts, *table;
    u8 *unclear; /* what such a key tells is not known: its lines are read */
    u32 keys, key_room, mask;
    u64 seed;
} Keys;

static int keys_grow(Keys *k) {
    u32 room = k->key_room ? k->key_room * 2 : 1024, mask = room * 2 - 1;
    size_t *begins = realloc(k->begins, (room + 1) * sizeof *begins);
    if (begins) k->begins = begins;
    u32 *counts = realloc(k->counts, room * sizeof *counts);
    if (counts) k->counts = counts;
    u8 *unclear = realloc(k->unclear, room);
    if (unclear) k->unclear = unclear;
    u32 *table = calloc((size_t)mask + 1, sizeof *table);
    if (!begins || !counts || !unclear || !table) {
        free(table);
        return 0;
    }
    if (!k->keys) k->begins[0] = 0;
    for (u32 i = 0; i < k->keys; i++) {
        u32 at = (u32)hashed(k->bytes + k->begins[i], k->begins[i + 1] - k->begins[i], k->seed) & mask;
        while (table[at]) at = (at + 1) & mask;
        table[at] = i + 1;
    }
    free(k->table);
    k->table = table;
    k->mask = mask;
    k->key_room = room;
    return 1;
}

static void keys_free(Keys *k) {
    free(k->bytes);
    free(k->begins);
    free(k->counts);
    free(k->table);
    free(k->unclear);
}

/* Where the key stands in the table, or would. */
static u32 key_slot(const Keys *k, const u8 *key, size_t length) {
    u32 at = (u32)hashed(key, length, k->seed) & k->mask;
    for (; k->table[at]; at = (at + 1) & k->mask) {
        u32 i = k->table[at] - 1;
        if (k->begins[i + 1] - k->begins[i] == length && same(k->bytes + k->begins[i], key, length)) break;
    }
    return at;
}

/* The number of the key, which is new where it was not there; -1 where memory is short. */
static int64_t keyed(Keys *k, const u8 *key, size_t length) {
    if (k->keys == k->key_room && !keys_grow(k)) return -1;
    u32 at = key_slot(k, key, length);
    if (k->table[at]) return k->table[at] - 1;
    if (k->used + length >= k->room) { /* even for an empty one there are bytes */
        size_t room = (k->used + length) * 2 + 4096;
        u8 *bytes = realloc(k->bytes, room);
        if (!bytes) return -1;
        k->bytes = bytes;
        k->room = room;
    }
    memcpy(k->bytes + k->used, key, length);
    k->used += length;
    k->begins[k->keys + 1] = k->used;
    k->counts[k->keys] = 0;
    k->unclear[k->keys] = 0;
    k->table[at] = k->keys + 1;
    return k->keys++;
}

/* ---- the ways in which deliveries are cut out of their lines; the same as in deliveries.py ------------------------------ */
enum { NO_WAY, BEHIND, BETWEEN, AHEAD, BEYOND };
#define MOST_KEY 2048

static const u8 *seek(const u8 *from, const u8 *end, const char *what, size_t n) {
    for (const u8 *p = from; p + n <= end; p++) {
        p = memchr(p, what[0], (size_t)(end - p) - n + 1);
        if (!p) return NULL;
        if (!memcmp(p, what, n)) return p;
    }
    return NULL;
}
#define SEEK(from, end, what) seek(from, end, what, sizeof(what) - 1)

static size_t copied(u8 *key, size_t used, const u8 *from, const u8 *end) {
    size_t n = (size_t)(end - from);
    if (end < from || used + n > MOST_KEY) return 0;
    memcpy(key + used, from, n);
    return used + n;
}

/* What the line from *line* to *stop*, in which a text of a delivery stands from *s* to *e*, is known by; 0 bytes: it must be read. */
static size_t cut(int way, const u8 *line, const u8 *stop, const u8 *s, const u8 *e, u8 *key, size_t used) {
    const u8 *a, *r, *z;
    switch (way) {
    case BEHIND:
        if (!(a = SEEK(line, s, "to=")) || !(a = memchr(a, '@', (size_t)(s - a)))) return 0;
        if ((z = memchr(a, '[', (size_t)(s - a)))) return z + 2 <= stop ? copied(key, used, a, z + 2) : 0;
        return (z = SEEK(a, stop, ", delay")) ? copied(key, used, a, z) : 0;
    case BETWEEN:
        if (!(a = SEEK(line, s, "to=")) || !(a = memchr(a, '@', (size_t)(s - a))) || !(r = SEEK(a, s, " relay="))) return 0;
        z = memchr(a, ',', (size_t)(stop - a));
        if (!z || !(used = copied(key, used, a, z + 1))) return 0;
        z = memchr(r, '[', (size_t)(stop - r));
        return z && z + 2 <= stop ? copied(key, used, r, z + 2) : 0;
    case AHEAD:
        if (s - line < 6 || (s[-4] != '-' && s[-6] != '-')) return 0;
        z = memchr(e, ' ', (size_t)(stop - e));
        a = z ? memchr(e, '@', (size_t)(z - e)) : NULL;
        z = SEEK(e, stop, " [");
        return copied(key, used, a ? a : e, z ? z : stop);
    case BEYOND:
        if (!(a = SEEK(e, stop, " to=<")) || !(a = memchr(a, '@', (size_t)(stop - a)))) return 0;
        z = SEEK(e, stop, " delay=");
        return z && z > a ? copied(key, used, a, z) : 0;
    default:
        return 0;
    }
}

/* ---- lines, by what was found in them ------------------------------------------------------------------------------------ */
typedef struct {
    Texts *texts;
    u8 *letters, *ways;
    u8 *behind; /* texts that count behind a message's id alone */
    int by_line;
    Keys keys;
    List hits, reads, weak, infos, sent, framed; /* framed: deliveries that Python has to cut: number, start, end, begin of line */
    u64 arrivals;
    u32 unclear; /* deliveries of this block of unclear keys */
} Sieve;

PUBLIC void sieve_free(Sieve *s) {
    if (!s) return;
    texts_free(s->texts);
    free(s->letters);
    keys_free(&s->keys);
    free(s->hits.at);
    free(s->reads.at);
    free(s->weak.at);
    free(s->infos.at);
    free(s->sent.at);
    free(s->framed.at);
    free(s);
}

/* *letters*: what each text tells of its line; *ways*: how a delivery with it is cut; *behind*: whether it counts behind ids alone. */
PUBLIC Sieve *sieve_new(u32 count, const u8 *bytes, const u32 *lengths, const u8 *groups, const u8 *letters, const u8 *ways,
                        const u8 *behind, int by_line, u64 seed) {
    Sieve *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->texts = texts_new(count, bytes, lengths, groups);
    s->letters = malloc((size_t)count * 3 + 1);
    if (!s->texts || !s->letters || !keys_grow(&s->keys)) {
        sieve_free(s);
        return NULL;
    }
    s->ways = s->letters + count;
    s->behind = s->ways + count;
    memcpy(s->letters, letters, count);
    memcpy(s->ways, ways, count);
    memcpy(s->behind, behind, count);
    s->by_line = by_line;
    s->keys.seed = seed;
    return s;
}

typedef struct {
    u32 info, arrived, sent, fail, weak, told_weak, quiet, strange;
    u32 number, start, end; /* of the last delivery's text */
} Found;

enum { ONE_HOST, BEHIND_STAMP, BEHIND_WORD, NO_HOST };

/* The host of a line into *key*, and behind it a line's end; *name*: that of all lines.  0: it has none where it should. */
static size_t host_of(int how, const u8 *name, u32 length, const u8 *line, const u8 *stop, u8 *key) {
    const u8 *a = name, *z = name + length;
    if (how == BEHIND_STAMP || how == BEHIND_WORD) {
        a = how == BEHIND_STAMP ? line + 15 : memchr(line, ' ', (size_t)(stop - line));
        if (!a || ++a >= stop || !(z = memchr(a, ' ', (size_t)(stop - a)))) return 0;
    } else if (how == NO_HOST) {
        if (line == stop || *line < '0' || *line > '9') return 0;
        z = a;
    }
    if (z - a > 255) return 0;
    memcpy(key, a, (size_t)(z - a));
    key[z - a] = '\n';
    return (size_t)(z - a) + 1;
}

/* Sort the lines of *block* by what stands in them.  *extra*: lines, by where they begin and in order, that are read anyway; *how*: where
 * the host of a line stands, or *name*, that of all. */
PUBLIC int sieve_sift(Sieve *s, const u8 *block, u32 length, const u32 *extra, u32 extras, int how, const u8 *name, u32 name_length) {
    static const Found none;
    s->reads.used = s->weak.used = s->infos.used = s->sent.used = s->framed.used = 0;
    s->arrivals = s->unclear = 0;
    if (!find(s->texts, block, length, &s->hits)) return 0;
    const u32 *hit = s->hits.at, *last = hit + s->hits.used;
    u8 key[MOST_KEY + 512];
    u32 begin = 0;
    Ends ends;
    ends_begin(&ends, block, length, 0);
    while (begin < length && (hit < last || extras)) {
        u32 stop = next_end(&ends);
        int read = 0;
        for (; extras && *extra <= begin; extra++, extras--) read |= *extra == begin;
        Found f = none;
        for (; hit < last && hit[1] < stop; hit += 3) {
            switch (s->letters[hit[0]]) {
            case 'I':
                f.info++;
                if (!put(&s->infos, hit[1]) || !put(&s->infos, hit[2])) return 0;
                break;
            case 'A': f.arrived++; break;
            case 'S': f.sent++; f.number = hit[0]; f.start = hit[1]; f.end = hit[2]; break;
            case 'W': f.told_weak++; break;
            case 'w': f.weak++; break;
            case 'Q': f.quiet++; break;
            default: f.fail++; break;
            }
            if (s->behind[hit[0]]) {
                u32 at = hit[1];
                f.strange |= at < 6 || (block[at - 4] != '-' && block[at - 6] != '-');
            }
        }
        read |= f.fail || f.strange || f.sent > 1;
        if (s->by_line) read |= f.arrived + f.sent > 1 || (f.told_weak && !(f.quiet + f.arrived + f.sent));
        if (!read && f.weak && !(f.info + f.arrived + f.sent) && !put(&s->weak, begin)) return 0;
        if (!read && f.sent && s->ways[f.number] == NO_WAY) {
            if (f.arrived) read = 1;
            else if (!put(&s->framed, f.number) || !put(&s->framed, f.start) || !put(&s->framed, f.end) || !put(&s->framed, begin)) return 0;
        } else if (!read && f.sent) {
            const u8 *line = block + begin;
            u8 way = key[0] = s->ways[f.number];
            size_t used = host_of(how, name, name_length, line, block + stop, key + 1);
            size_t all = used++ ? cut(way, line, block + stop, block + f.start, block + f.end, key, used) : 0;
            int64_t k = all > used ? keyed(&s->keys, key, all) : -2;
            if (k == -1) return 0;
            if (k < 0) {
                read = 1;
            } else {
                s->keys.counts[k]++;
                s->unclear += s->keys.unclear[k];
                if (!put(&s->sent, begin) || !put(&s->sent, (u32)k) || !put(&s->sent, f.arrived)) return 0;
            }
        }
        if (read) {
            if (!put(&s->reads, begin)) return 0;
        } else {
            s->arrivals += f.arrived;
        }
        begin = stop + 1;
    }
    return 1;
}

/* What key *k* tells is not known. */
PUBLIC void sieve_unclear(Sieve *s, u32 k) {
    s->keys.unclear[k] = 1;
    for (size_t i = 0; i < s->sent.used; i += 3) s->unclear += s->sent.at[i + 1] == k;
}

/* The lines of unclear keys are read too; they are no arrivals then. */
PUBLIC int sieve_read_unclear(Sieve *s) {
    for (size_t i = 0; i < s->sent.used; i += 3)
        if (s->keys.unclear[s->sent.at[i + 1]]) {
            s->arrivals -= s->sent.at[i + 2];
            if (!put(&s->reads, s->sent.at[i])) return 0;
        }
    return 1;
}

/* ---- many ids at once ------------------------------------------------------------------------------------------------------ */
/* Where there are too many ids for `find`: of the text only every *step*th place is looked at, whether one of the pieces of ids stands
 * there, as long as fits.  Each id has a piece at some such place, wherever it stands. */
#define MANY_IDS 64
#define LEAST_PIECE 4
#define MOST_STEP 8

typedef struct {
    Keys ids;
    u64 *bits, *pieces; /* whether a piece may be one of those; these, by hash */
    u8 *places;         /* of each piece: how far behind the begin of an id it stands, as bits; 0: there is no piece */
    u32 *lengths, kinds; /* the ids' lengths, the longest first */
    u32 step, piece, shift, mask;
    u64 seed;
} Ids;

static void ids_free(Ids *d) {
    if (!d) return;
    keys_free(&d->ids);
    free(d->bits);
    free(d->pieces);
    free(d->places);
    free(d->lengths);
    free(d);
}

static inline u64 bit_of(const Ids *d, u64 piece) { return piece * (d->seed | 1) >> d->shift; }

static inline u32 piece_slot(const Ids *d, u64 piece) {
    u32 at = (u32)mixed(piece ^ d->seed, 0xE7037ED1A0B428DBu) & d->mask;
    while (d->places[at] && d->pieces[at] != piece) at = (at + 1) & d->mask;
    return at;
}

static int shorter_last(const void *a, const void *b) { return (*(const u32 *)a < *(const u32 *)b) - (*(const u32 *)a > *(const u32 *)b); }

/* NULL where one is too short, or memory is. */
static Ids *ids_new(u32 count, const u8 *bytes, const u32 *lengths, u64 seed) {
    u32 least = UINT32_MAX;
    for (u32 i = 0; i < count; i++)
        if (lengths[i] < least) least = lengths[i];
    if (least < LEAST_PIECE + 3) return NULL;
    Ids *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->piece = least >= 11 ? 8 : least - 3;
    d->step = least - d->piece + 1 < MOST_STEP ? least - d->piece + 1 : MOST_STEP;
    d->seed = d->ids.seed = seed;
    u64 size = 1024;
    while (size < (u64)count * d->step * 2) size *= 2;
    d->mask = (u32)size - 1;
    d->shift = 64 - (u32)__builtin_ctzll(size * 8);
    d->bits = calloc(size / 8, sizeof *d->bits);
    d->pieces = malloc(size * sizeof *d->pieces);
    d->places = calloc(size, 1);
    d->lengths = malloc(count * sizeof *d->lengths);
    if (!d->bits || !d->pieces || !d->places || !d->lengths || !keys_grow(&d->ids)) goto failed;
    for (u32 i = 0; i < count; bytes += lengths[i++]) {
        if (keyed(&d->ids, bytes, lengths[i]) != i) goto failed;
        d->lengths[i] = lengths[i];
        for (u32 n = 0; n < d->step; n++) {
            u64 piece = some(bytes + n, d->piece);
            u32 at = piece_slot(d, piece);
            d->pieces[at] = piece;
            d->places[at] |= (u8)(1u << n);
            set_bit(d->bits, bit_of(d, piece));
        }
    }
    qsort(d->lengths, count, sizeof *d->lengths, shorter_last);
    for (u32 i = 0; i < count; i++)
        if (!i || d->lengths[i] != d->lengths[d->kinds - 1]) d->lengths[d->kinds++] = d->lengths[i];
    return d;
failed:
    ids_free(d);
    return NULL;
}

/* The number of the longest id that stands at *at*, and its *length*; -1: there is none. */
static int64_t id_at(const Ids *d, const u8 *block, u32 length, u32 at, u32 *id_length) {
    for (u32 i = 0; i < d->kinds; i++) {
        u32 n = d->lengths[i], slot;
        if (n <= length - at && (slot = d->ids.table[key_slot(&d->ids, block + at, n)])) {
            *id_length = n;
            return slot - 1;
        }
    }
    return -1;
}

/* As `find`; to their numbers *first* is added. */
static int ids_find(const Ids *d, const u8 *block, u32 length, u32 first, List *hits) {
    u64 kept = d->piece == 8 ? ~0ull : (1ull << d->piece * 8) - 1;
    u32 until = 0, id_length;
    hits->used = 0;
    for (u32 at = 0; at + d->piece <= length; at += d->step) {
        u64 piece = length - at >= 8 ? some(block + at, 8) & kept : some(block + at, d->piece);
        if (!bit(d->bits, bit_of(d, piece))) continue;
        u32 places = d->places[piece_slot(d, piece)];
        for (u32 n = d->step; n--;) {
            if (!(places >> n & 1) || at < n + until) continue;
            int64_t number = id_at(d, block, length, at - n, &id_length);
            if (number < 0) continue;
            until = at - n + id_length;
            if (!put(hits, first + (u32)number) || !put(hits, at - n) || !put(hits, until)) return 0;
        }
    }
    return 1;
}

/* ---- queue ids before anchors ------------------------------------------------------------------------------------------- */
typedef struct {
    Texts *texts;
    Ids *many; /* the ids, where they are not among the texts */
    Names *before, *behind;
    u8 *gaps; /* 255: the text is no anchor; 254: a name stands behind it */
    u32 ids;  /* the number of the first text that is an id */
    List hits, found, lines, told; /* found: all; lines: where those begin that may be of interest; told: what is found of ids */
} Anchors;

PUBLIC void anchors_free(Anchors *a) {
    if (!a) return;
    texts_free(a->texts);
    ids_free(a->many);
    names_free(a->before);
    names_free(a->behind);
    free(a->gaps);
    free(a->hits.at);
    free(a->found.at);
    free(a->lines.at);
    free(a->told.at);
    free(a);
}

static int put_row(List *to, const u32 *hit, u32 begin) {
    if (!list_room(to, 4)) return 0;
    memcpy(to->at + to->used, hit, 3 * sizeof *hit);
    to->at[to->used + 3] = begin;
    to->used += 4;
    return 1;
}

/* Takes *before* and *behind* over. */
PUBLIC Anchors *anchors_new(u32 count, u32 ids, const u8 *bytes, const u32 *lengths, const u8 *gaps, Names *before, Names *behind,
                            u64 seed) {
    Anchors *a = calloc(1, sizeof *a);
    u8 *groups = calloc(count + 1, 1);
    if (!a || !groups || !before || !behind) {
        free(a);
        free(groups);
        names_free(before);
        names_free(behind);
        return NULL;
    }
    a->ids = ids;
    a->before = before;
    a->behind = behind;
    size_t others = 0;
    for (u32 i = 0; i < ids; i++) others += lengths[i];
    if (count - ids >= MANY_IDS && (a->many = ids_new(count - ids, bytes + others, lengths + ids, seed))) count = ids;
    if (count > ids) memset(groups + ids, 1, count - ids);
    a->texts = texts_new(count, bytes, lengths, groups);
    a->gaps = malloc(count + 1);
    free(groups);
    if (!a->texts || !a->gaps) {
        anchors_free(a);
        return NULL;
    }
    memcpy(a->gaps, gaps, count);
    return a;
}

/* Where lines begin; asked for places in ascending order. */
typedef struct {
    u32 begin, at; /* of the last place's line, and that place */
} Begins;

static inline u32 begin_of(Begins *b, const u8 *block, u32 at) {
    u32 place = at;
    while (place > b->at && block[place - 1] != '\n') place--;
    if (place > b->at) b->begin = place;
    b->at = at;
    return b->begin;
}

/* What is found, but for anchors that no name stands at: which text, from where to where, and where its line begins. */
PUBLIC int anchors_find(Anchors *a, const u8 *block, u32 length) {
    if (!find(a->texts, block, length, &a->hits)) return 0;
    Begins begins = {0, 0};
    a->found.used = a->lines.used = a->told.used = 0;
    for (u32 *hit = a->hits.at, *last = hit + a->hits.used; hit < last; hit += 3) {
        u32 gap = a->gaps[hit[0]];
        if (gap == 254) {
            if (length - hit[2] >= a->behind->width && !holds(a->behind, block + hit[2])) continue;
        } else if (gap != 255) {
            if (hit[1] < gap + a->before->width || !holds(a->before, block + hit[1] - gap - a->before->width)) continue;
        }
        u32 begin = begin_of(&begins, block, hit[1]);
        if (!put_row(&a->found, hit, begin)) return 0;
        if (hit[0] >= a->ids) {
            if (!put_row(&a->told, hit, begin)) return 0;
        } else if (!a->lines.used || a->lines.at[a->lines.used - 1] != begin) {
            if (!put(&a->lines, begin)) return 0;
        }
    }
    if (!a->many) return 1;
    if (!ids_find(a->many, block, length, a->ids, &a->hits)) return 0;
    begins = (Begins){0, 0};
    for (u32 *hit = a->hits.at, *last = hit + a->hits.used; hit < last; hit += 3) {
        u32 begin = begin_of(&begins, block, hit[1]);
        if (!put_row(&a->found, hit, begin) || !put_row(&a->told, hit, begin)) return 0;
    }
    return 1;
}

/* ---- lines that are alike ------------------------------------------------------------------------------------------------- */
/* A line's form is the line with its tokens masked: words that have a digit, names with dots, what stands before and behind an @.  A token
 * says what characters it has and whether it is long (its length, where it may belong to the stamp), and where it is the same as one
 * before, which one. */
#define MOST_TOKENS 100
#define MOST_LINE 4000
#define LEAST_SAME 6 /* bytes of a token that is looked for among those before */
#define LONG_TOKEN 8
#define STAMP 24 /* the first bytes of a line */
#define FIELDS 5 /* of a failure: stamp, queue id, recipient, sender, client */
enum { NOTHING = 0, DIGIT = 1, UPPER = 2, LOWER = 4, DOT = 8, DASH = 16, OTHER = 32, LONG = 64, NO_HEX = 128 };

typedef struct {
    u32 start, end;
    int32_t same; /* as which one before, or -1 */
} Token;

enum { INSIDE = 1000, NO_FIELD = -2 };

static u8 kinds[256]; /* of the bytes of words */

__attribute__((constructor)) static void sort_bytes(void) {
    for (int c = 0; c < 256; c++)
        kinds[c] = c >= '0' && c <= '9'   ? DIGIT
                   : c >= 'A' && c <= 'Z' ? UPPER | (c > 'F' ? NO_HEX : 0)
                   : c >= 'a' && c <= 'z' ? LOWER | (c > 'f' ? NO_HEX : 0)
                   : c == '.'             ? DOT
                   : c == '-' || c == '_' ? DASH
                   : c >= 128             ? OTHER
                                          : NOTHING;
}

/* 550, or 5.7.1: these always matter, but behind a word (in 450 seconds). */
static int is_code(const u8 *line, u32 start, u32 n) {
    const u8 *p = line + start;
    if (start > 1 && p[-1] == ' ' && kinds[p[-2]] & (UPPER | LOWER)) return 0;
    if (n < 3 || n > 9 || (p[0] != '2' && p[0] != '4' && p[0] != '5')) return 0;
    u32 dots = 0;
    for (u32 i = 1; i < n; i++) {
        if (p[i] == '.' && p[i - 1] != '.') dots++;
        else if (kinds[p[i]] != DIGIT) return 0;
    }
    return dots ? dots == 2 && p[1] == '.' : n == 3;
}

/* Whether what *token* says is looked at whatever was learnt: it is a code, and does not belong to the stamp. */
static int always_matters(const u8 *line, const Token *token) {
    return token->start >= STAMP && is_code(line, token->start, token->end - token->start);
}

/* The tokens of a line and its form, of *size* bytes; -1 where it has too much of either. */
static int tokens_of(const u8 *line, u32 n, Token *tokens, u8 *form, u32 *size) {
    int count = 0;
    u32 used = 0, i = 0;
    if (n > MOST_LINE) return -1;
    while (i < n) {
        if (!kinds[line[i]]) {
            if (line[i] < 3) return -1; /* these mark tokens */
            form[used++] = line[i++];
            continue;
        }
        u32 start = i, end;
        u8 kind = 0;
        for (; i < n && kinds[line[i]]; i++) kind |= kinds[line[i]];
        for (end = i; end > start && kinds[line[end - 1]] & (DOT | DASH); end--) {}
        for (; start < end && kinds[line[start]] & (DOT | DASH); start++) form[used++] = line[start];
        if (start < end) {
            if (kind & (DOT | DASH)) { /* without those around it */
                kind = 0;
                for (u32 j = start; j < end; j++) kind |= kinds[line[j]];
            }
            int mailbox = (i < n && line[i] == '@' && i == end) || (start && line[start - 1] == '@');
            if (mailbox || kind & (DIGIT | DOT)) {
                if (count == MOST_TOKENS) return -1;
                Token *token = &tokens[count];
                *token = (Token){start, end, -1};
                if (end - start >= LEAST_SAME)
                    for (int j = 0; j < count && token->same < 0; j++)
                        if (tokens[j].end - tokens[j].start == end - start && tokens[j].same < 0 &&
                            !memcmp(line + tokens[j].start, line + start, end - start))
                            token->same = j;
                form[used++] = token->same < 0 ? 1 : 2;
                form[used++] = (u8)(token->same < 0 ? kind | (end - start >= LONG_TOKEN ? LONG : 0) : token->same);
                if (start < STAMP) form[used++] = (u8)(end - start < 255 ? end - start : 255);
                count++;
            } else {
                memcpy(form + used, line + start, end - start);
                used += end - start;
            }
        }
        for (; end < i; end++) form[used++] = line[end];
    }
    *size = used;
    return count;
}

typedef struct {
    u8 known, tokens;
    u8 matters[MOST_TOKENS];   /* whether what the token is tells failures apart */
    int16_t fields[FIELDS][4]; /* behind which token (-1: the line's begin; INSIDE + n: behind the begin of n) a field begins and ends,
                                  and how far behind it; NO_FIELD: there is none */
} Lane;

enum { BEGIN, END, ALIKE, WHEN, SECONDS, FIELD, ROW = FIELD + 2 * FIELDS }; /* of a row; WHEN, SECONDS: see `stamped` */
enum { QUEUE_ID = FIELD + 2, RCPT = FIELD + 4, SENDER = FIELD + 6, CLIENT = FIELD + 8 };

typedef struct {
    int64_t number;
    u64 count;
} Hour;

/* What lines of a kind add up to.  Texts end with a line's end each. */
typedef struct {
    Bytes host, names, senders, clients, sample; /* names: host, queue id and recipient, apart by blanks; sample: the earliest line */
    int64_t *times, first, last, at;             /* of each name; the earliest and the latest; the sample's */
    u64 count, offset;                           /* lines; the sample's */
    Hour *hours;
    u32 time_room, hour_count, hour_room, named; /* named: which name is the sample's */
    int tells;                                   /* of messages: nothing, the sender, a delivery */
} Sum;

typedef struct {
    Keys forms, keys, stamps, sought;
    Lane *lanes;
    Sum *sums;
    u32 lane_room, sum_count, sum_room;
    u8 *no_ids; /* what stands where there is no queue id, each behind its length */
    u32 no_id_count;
    List rows, left, fresh, others, found, checks;
} Lanes;

static void sum_free(Sum *s) {
    free(s->host.at);
    free(s->names.at);
    free(s->senders.at);
    free(s->clients.at);
    free(s->sample.at);
    free(s->times);
    free(s->hours);
}

PUBLIC void lanes_free(Lanes *l) {
    if (!l) return;
    keys_free(&l->forms);
    keys_free(&l->keys);
    keys_free(&l->stamps);
    keys_free(&l->sought);
    free(l->lanes);
    for (u32 i = 0; i < l->sum_count; i++) sum_free(&l->sums[i]);
    free(l->sums);
    free(l->no_ids);
    free(l->rows.at);
    free(l->left.at);
    free(l->fresh.at);
    free(l->others.at);
    free(l->found.at);
    free(l->checks.at);
    free(l);
}

PUBLIC Lanes *lanes_new(const u8 *no_ids, u32 size, u32 count, u64 seed) {
    Lanes *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    l->forms.seed = l->keys.seed = l->stamps.seed = l->sought.seed = seed;
    l->no_ids = malloc(size + 1);
    if (l->no_ids && keys_grow(&l->forms) && keys_grow(&l->keys) && keys_grow(&l->stamps) && keys_grow(&l->sought)) {
        memcpy(l->no_ids, no_ids, size);
        l->no_id_count = count;
        return l;
    }
    lanes_free(l);
    return NULL;
}

/* The tokens of *line*: start, end, as which one before it is + 1, and whether it is a code; how many there are, -1 where they are too many. */
PUBLIC int lane_tokens(const u8 *line, u32 length, u32 *out) {
    Token tokens[MOST_TOKENS];
    u8 form[MOST_LINE * 2 + 2 * STAMP];
    u32 size;
    int count = tokens_of(line, length, tokens, form, &size);
    for (int i = 0; i < count; i++) {
        out[i * 4] = tokens[i].start;
        out[i * 4 + 1] = tokens[i].end;
        out[i * 4 + 2] = (u32)(tokens[i].same + 1);
        out[i * 4 + 3] = (u32)always_matters(line, &tokens[i]);
    }
    return count;
}

/* What is learnt of a form. */
PUBLIC void lanes_learn(Lanes *l, u32 form, u32 tokens, const u8 *matters, const int16_t *fields) {
    Lane *lane = &l->lanes[form];
    lane->known = 1;
    lane->tokens = (u8)tokens;
    memcpy(lane->matters, matters, tokens);
    memcpy(lane->fields, fields, sizeof lane->fields);
}

static inline u32 place_of(const Token *tokens, u32 begin, const int16_t *at, int *good) {
    if (at[0] < INSIDE) return begin + (at[0] < 0 ? 0 : tokens[at[0]].end) + (u32)at[1];
    const Token *token = &tokens[at[0] - INSIDE];
    *good &= token->end - token->start >= (u32)at[1];
    return begin + token->start + (u32)at[1];
}

/* The number of a stamp with its seconds taken out (00 is in their place) and put into *seconds*, fractions left out. */
static int64_t stamped(Lanes *l, const u8 *from, const u8 *to, u32 *seconds) {
    u8 stamp[64];
    size_t n = (size_t)(to - from), used;
    *seconds = 0;
    if (!n || n > sizeof stamp) return keyed(&l->stamps, from, n);
    memcpy(stamp, from, n);
    int date = kinds[*stamp] == DIGIT;
    size_t at = date ? 17 : 13; /* 2026-11-20T03:00:12.5Z, Nov 20 03:00:12.5 */
    if (date) {
        size_t i = used = n < 19 ? n : 19;
        while (i < n && (kinds[stamp[i]] == DIGIT || stamp[i] == '.' || stamp[i] == ',')) i++;
        memmove(stamp + used, stamp + i, n - i);
        used += n - i;
    } else {
        for (used = 0; used < n && stamp[used] != '.'; used++) {}
    }
    if ((date ? used >= at + 2 : used == at + 2) && stamp[at - 1] == ':' && kinds[stamp[at]] == DIGIT && kinds[stamp[at + 1]] == DIGIT) {
        *seconds = (u32)(stamp[at] - '0') * 10 + (u32)(stamp[at + 1] - '0');
        stamp[at] = stamp[at + 1] = '0';
    }
    return keyed(&l->stamps, stamp, used);
}

/* The lines of *block* that begin at *begins*.  Rows, of forms that were learnt: begin, end, number of what they are alike in, number of
 * the stamp and its seconds, and where each field begins and ends (both 0: it has none).  Fresh: the rows whose number is new.  What is
 * left: begin, end, form + 1 or 0. */
PUBLIC int lanes_take(Lanes *l, const u8 *block, u32 length, const u32 *begins, u32 count) {
    Token tokens[MOST_TOKENS];
    u8 form[MOST_LINE * 2 + 2 * STAMP], key[MOST_LINE + 5 * MOST_TOKENS + 16];
    l->rows.used = l->left.used = l->fresh.used = 0;
    for (u32 n = 0; n < count; n++) {
        u32 begin = begins[n], end, size;
        const u8 *line = block + begin, *nl = memchr(line, '\n', length - begin);
        for (end = nl ? (u32)(nl - block) : length; end > begin && block[end - 1] == '\r'; end--) {}
        int found = tokens_of(line, end - begin, tokens, form, &size);
        int64_t number = -2;
        Lane *lane = NULL;
        if (found >= 0) {
            if ((number = keyed(&l->forms, form, size)) < 0) return 0;
            if (l->forms.key_room > l->lane_room) {
                Lane *lanes = realloc(l->lanes, l->forms.key_room * sizeof *lanes);
                if (!lanes) return 0;
                memset(lanes + l->lane_room, 0, (l->forms.key_room - l->lane_room) * sizeof *lanes);
                l->lanes = lanes;
                l->lane_room = l->forms.key_room;
            }
            lane = &l->lanes[number];
        }
        if (!lane || !lane->known) {
            if (!put(&l->left, begin) || !put(&l->left, end) || !put(&l->left, (u32)(number < 0 ? 0 : number + 1))) return 0;
            continue;
        }
        u32 places[2 * FIELDS];
        int good = 1;
        for (int i = 0; i < 2 * FIELDS; i++) {
            const int16_t *field = lane->fields[i / 2];
            places[i] = field[0] == NO_FIELD ? 0 : place_of(tokens, begin, field + i % 2 * 2, &good);
            good &= places[i] <= end && (i % 2 == 0 || places[i] >= places[i - 1]);
        }
        if (!good) { /* a token is shorter than it was where this was learnt */
            if (!put(&l->left, begin) || !put(&l->left, end) || !put(&l->left, 0)) return 0;
            continue;
        }
        u32 used = 4, which = (u32)number;
        memcpy(key, &which, 4);
        for (int i = 0; i < found; i++)
            if (lane->matters[i] || (tokens[i].same < 0 && always_matters(line, &tokens[i]))) {
                u32 m = tokens[i].end - tokens[i].start;
                key[used] = (u8)i;
                memcpy(key + used + 1, &m, 4);
                memcpy(key + used + 5, line + tokens[i].start, m);
                used += 5 + m;
            }
        u32 known = l->keys.keys;
        u32 seconds;
        int64_t stamp = stamped(l, block + places[0], block + places[1], &seconds);
        if (stamp < 0 || (number = keyed(&l->keys, key, used)) < 0 || !list_room(&l->rows, ROW)) return 0;
        if (number == known && !put(&l->fresh, (u32)(l->rows.used / ROW))) return 0;
        u32 *row = l->rows.at + l->rows.used;
        l->rows.used += ROW;
        row[BEGIN] = begin;
        row[END] = end;
        row[ALIKE] = (u32)number;
        row[WHEN] = (u32)stamp;
        row[SECONDS] = seconds;
        memcpy(row + FIELD, places, sizeof places);
    }
    return 1;
}

/* ---- what lines that are alike add up to ------------------------------------------------------------------------------------ */
#define NEVER INT64_MAX /* the time of a line whose stamp is none */

static u32 crc_tables[8][256];

__attribute__((constructor)) static void make_crc_tables(void) {
    for (u32 i = 0; i < 256; i++) {
        u32 c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
        crc_tables[0][i] = c;
    }
    for (u32 i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++) crc_tables[t][i] = crc_tables[t - 1][i] >> 8 ^ crc_tables[0][crc_tables[t - 1][i] & 255];
}

/* As zlib's. */
PUBLIC u32 crc_of(const u8 *p, size_t n) {
    u32 c = ~0u;
    for (; n >= 8; p += 8, n -= 8) {
        u32 low = c ^ ((u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24);
        c = crc_tables[7][low & 255] ^ crc_tables[6][low >> 8 & 255] ^ crc_tables[5][low >> 16 & 255] ^ crc_tables[4][low >> 24] ^
            crc_tables[3][p[4]] ^ crc_tables[2][p[5]] ^ crc_tables[1][p[6]] ^ crc_tables[0][p[7]];
    }
    for (; n; n--) c = c >> 8 ^ crc_tables[0][(c ^ *p++) & 255];
    return ~c;
}

/* A new sum of lines of *host*; *tells*: 0 nothing of messages, 1 the sender, 2 a delivery.  Its number; -1 where memory is short. */
PUBLIC int32_t lanes_sum(Lanes *l, const u8 *host, u32 length, int tells) {
    Sum *sums = one_more(l->sums, &l->sum_room, l->sum_count, sizeof *sums);
    if (!sums) return -1;
    l->sums = sums;
    Sum *s = &l->sums[l->sum_count];
    *s = (Sum){.first = NEVER, .last = -NEVER, .at = NEVER, .tells = tells};
    if (!bytes_put(&s->host, host, length, ' ')) return -1;
    return (int32_t)l->sum_count++;
}

static int is_no_id(const Lanes *l, const u8 *id, size_t n) {
    const u8 *no = l->no_ids;
    for (u32 i = 0; i < l->no_id_count; i++, no += 1 + *no)
        if (*no == n && same(no + 1, id, n)) return 1;
    return !n;
}

static int add_hour(Sum *s, int64_t number) {
    u32 i = s->hour_count;
    while (i && s->hours[i - 1].number != number) i--;
    if (i) {
        s->hours[i - 1].count++;
        return 1;
    }
    Hour *hours = one_more(s->hours, &s->hour_room, s->hour_count, sizeof *hours);
    if (!hours) return 0;
    s->hours = hours;
    s->hours[s->hour_count++] = (Hour){number, 1};
    return 1;
}

static int add_line(Lanes *l, Sum *s, const u8 *block, const u32 *row, int64_t time, u64 offset) {
    const u8 *id = block + row[QUEUE_ID];
    size_t id_size = row[QUEUE_ID + 1] - row[QUEUE_ID];
    size_t rcpt = row[RCPT + 1] - row[RCPT], sender = row[SENDER + 1] - row[SENDER], client = row[CLIENT + 1] - row[CLIENT];
    if (is_no_id(l, id, id_size)) id_size = 0;
    int64_t *times = one_more(s->times, &s->time_room, s->count, sizeof *times);
    if (!times) return 0;
    s->times = times;
    u8 *name = bytes_room(&s->names, s->host.used + id_size + rcpt + 2);
    if (!name) return 0;
    memcpy(name, s->host.at, s->host.used);
    memcpy(name += s->host.used, id, id_size);
    name[id_size] = ' ';
    memcpy(name += id_size + 1, block + row[RCPT], rcpt);
    name[rcpt] = '\n';
    s->names.used += s->host.used + id_size + rcpt + 2;
    if (sender && !bytes_put(&s->senders, block + row[SENDER], sender, '\n')) return 0;
    if (client && !id_size && !bytes_put(&s->clients, block + row[CLIENT], client, '\n')) return 0;
    if (!s->count || time < s->at || (time == s->at && offset < s->offset)) {
        s->sample.used = 0;
        if (!bytes_put(&s->sample, block + row[BEGIN], row[END] - row[BEGIN], 0)) return 0;
        s->at = time;
        s->offset = offset;
        s->named = (u32)s->count;
    }
    s->times[s->count++] = time;
    if (time == NEVER) return 1;
    if (time < s->first) s->first = time;
    if (time > s->last) s->last = time;
    return add_hour(s, time / 3600 - (time % 3600 < 0));
}

/* The rows added up: those of a number into the sum that *of* names; where that is negative, they are put among the others: begin, end.
 * *times*: of the stamps without their seconds; *offsets*: of the rows, or NULL where they stand as in *block*, which begins at *offset*.
 * The check sums of lines that are not above *most* are kept. */
PUBLIC int lanes_add(Lanes *l, const u8 *block, const int32_t *of, const int64_t *times, const u64 *offsets, u64 offset, u32 most) {
    l->others.used = l->checks.used = 0;
    for (size_t i = 0; i * ROW < l->rows.used; i++) {
        const u32 *row = l->rows.at + i * ROW;
        int32_t which = of[row[ALIKE]];
        if (which < 0) {
            if (!put(&l->others, row[BEGIN]) || !put(&l->others, row[END])) return 0;
            continue;
        }
        int64_t time = times[row[WHEN]];
        if (time != NEVER) time += row[SECONDS];
        if (!add_line(l, &l->sums[which], block, row, time, offsets ? offsets[i] : offset + row[BEGIN])) return 0;
        u32 check = crc_of(block + row[BEGIN], row[END] - row[BEGIN]);
        if (check <= most && !put(&l->checks, check)) return 0;
    }
    return 1;
}

PUBLIC const Sum *lanes_summed(const Lanes *l, u32 which) { return &l->sums[which]; }

/* Begin a sum anew. */
PUBLIC void lanes_forget(Lanes *l, u32 which) {
    Sum *s = &l->sums[which];
    s->names.used = s->senders.used = s->clients.used = 0;
    s->count = s->hour_count = 0;
    s->first = s->at = NEVER;
    s->last = -NEVER;
}

/* Messages that are looked for: host, a blank and queue id of each. */
PUBLIC int lanes_seek(Lanes *l, const u8 *ids, const u32 *lengths, u32 count) {
    for (; count--; ids += *lengths++)
        if (keyed(&l->sought, ids, *lengths) < 0) return 0;
    return 1;
}

PUBLIC void lanes_forget_told(Lanes *l) { memset(l->sought.counts, 0, l->sought.keys * sizeof *l->sought.counts); }

/* The rows that tell of messages that are looked for: number of the message, what is told, and where the sender (told once) or the
 * recipient begins and ends, and the line.  *of* as in `lanes_add`; the others: begin, end. */
PUBLIC int lanes_pick(Lanes *l, const u8 *block, const int32_t *of) {
    u8 key[MOST_KEY];
    l->others.used = l->found.used = 0;
    for (const u32 *row = l->rows.at, *last = row + l->rows.used; row < last; row += ROW) {
        int32_t which = of[row[ALIKE]];
        if (which < 0) {
            if (!put(&l->others, row[BEGIN]) || !put(&l->others, row[END])) return 0;
            continue;
        }
        const Sum *s = &l->sums[which];
        size_t n = row[QUEUE_ID + 1] - row[QUEUE_ID];
        if (!s->tells || s->host.used + n > MOST_KEY) continue;
        memcpy(key, s->host.at, s->host.used);
        memcpy(key + s->host.used, block + row[QUEUE_ID], n);
        u32 message = l->sought.table[key_slot(&l->sought, key, s->host.used + n)];
        if (!message-- || (s->tells == 1 && l->sought.counts[message]++)) continue;
        const u32 *field = row + (s->tells == 1 ? SENDER : RCPT);
        if (!list_room(&l->found, 5)) return 0;
        u32 *found = l->found.at + l->found.used;
        l->found.used += 5;
        found[0] = message;
        found[1] = (u32)s->tells;
        found[2] = field[0];
        found[3] = field[1];
        found[4] = row[BEGIN];
    }
    return 1;
}

/* ---- how lines begin ------------------------------------------------------------------------------------------------------ */
/* Whether n bytes begin with a text behind its length; texts differ at their ends more than where they begin. */
static inline int begins_with(const u8 *at, u32 n, const u8 *text) {
    u32 m = *text++;
    return n >= m && (m < 8 || some(at + m - 8, 8) == some(text + m - 8, 8)) && same(at, text, m);
}

/* Where the first line from *from* begins that has not one of the *heads* (each behind its length, a byte) at *place*, or whose first
 * byte is none from *least* to *most*; lines that are too short have none, and need none.  -1: there is no such line. */
PUBLIC int64_t other_head(const u8 *block, u32 length, u32 from, u32 place, u32 least, u32 most, const u8 *heads, u32 count) {
    const u8 *last = heads;
    Ends ends;
    ends_begin(&ends, block, length, from);
    for (u32 begin = from; begin < length;) {
        const u8 *line = block + begin;
        u32 n = next_end(&ends) - begin;
        if (n) {
            if (*line < least || *line > most) return begin;
            if (n >= place && !begins_with(line + place, n - place, last)) {
                const u8 *head = heads;
                u32 i = 0;
                for (; i < count && !begins_with(line + place, n - place, head); i++) head += 1 + *head;
                if (i == count) return begin;
                last = head;
            }
        }
        begin += n + 1;
    }
    return -1;
}

/* Whether a line is surely Exim's: a stamp without fractions and zone, a process id or none, and a message's id or H=. */
static int of_exim(const u8 *line, u32 n) {
    static const char stamp[] = "2000-00-00 00:00:00 ";
    u32 at = sizeof stamp - 1;
    if (n < at + 2) return 0;
    for (u32 i = 0; i < at; i++)
        if (stamp[i] == '0' ? kinds[line[i]] != DIGIT : line[i] != (u8)stamp[i]) return 0;
    if (line[at] == '[') {
        u32 first = ++at;
        while (at < n && kinds[line[at]] == DIGIT) at++;
        if (at == first || at - first > 10 || n - at < 2 || line[at] != ']' || line[at + 1] != ' ') return 0;
        at += 2;
    }
    if (n - at >= 2 && line[at] == 'H' && line[at + 1] == '=') return 1;
    if (at == n || kinds[line[at]] != DIGIT) return 0;
    for (int part = 0; part < 3; part++) {
        static const u32 least[] = {6, 6, 2}, most[] = {6, 11, 4};
        u32 first = at;
        while (at < n && kinds[line[at]] & (DIGIT | UPPER | LOWER)) at++;
        if (at - first < least[part] || at - first > most[part] || at == n || line[at++] != (part < 2 ? '-' : ' ')) return 0;
    }
    return 1;
}

/* Which lines it is not known of at once what they are (Exim's): they have not 20, a dash and a blank where a message's id ends, and
 * behind it one of the *known* texts (each behind its length, a byte).  Those that are surely Exim's are written to *own*, the others to
 * *strange*, each of *room*; *counts*: how many there are, which may be more. */
PUBLIC void strange_lines(const u8 *block, u32 length, const u8 *known, u32 count, u32 *own, u32 *strange, u32 room, u32 *counts) {
    counts[0] = counts[1] = 0;
    Ends ends;
    ends_begin(&ends, block, length, 0);
    for (u32 begin = 0; begin < length;) {
        const u8 *line = block + begin;
        u32 n = next_end(&ends) - begin;
        u32 at = n > 37 && line[33] == '-' && line[36] == ' ' ? 37 : n > 44 && line[38] == '-' && line[43] == ' ' ? 44 : 0;
        int usual = 0;
        if (at && line[0] == '2' && line[1] == '0') {
            const u8 *text = known;
            for (u32 i = 0; i < count && !usual; i++, text += 1 + *text) usual = begins_with(line + at, n - at, text);
        }
        if (!usual) {
            int other = !of_exim(line, n);
            if (counts[other] < room) (other ? strange : own)[counts[other]] = begin;
            counts[other]++;
        }
        begin += n + 1;
    }
}

/* Which source this was compiled from: the binding takes no other. */
PUBLIC u32 sift_stamp(void) {
#ifdef SIFT_STAMP
    return SIFT_STAMP;
#else
    return 0;
#endif
}

#ifdef WITH_AVX2
FAST static u32 count_fast(const u8 *block, u32 length, u32 *done) {
    u32 lines = 0, i = 0;
    for (; length - i >= 32; i += 32) lines += (u32)__builtin_popcount(ends_at(block + i));
    *done = i;
    return lines;
}
#endif

PUBLIC u32 count_lines(const u8 *block, u32 length) {
    u32 lines = 0, i = 0;
#ifdef WITH_AVX2
    if (is_fast()) lines = count_fast(block, length, &i);
#endif
    for (; i < length; i++) lines += block[i] == '\n';
    return lines;
}

/* ---- what was found, for Python ---------------------------------------------------------------------------------------- */
PUBLIC const List *sieve_list(const Sieve *s, int which) {
    return which == 0 ? &s->reads : which == 1 ? &s->weak : which == 2 ? &s->infos : which == 3 ? &s->sent : &s->framed;
}
PUBLIC u64 sieve_arrivals(const Sieve *s) { return s->arrivals; }
PUBLIC u32 sieve_unclears(const Sieve *s) { return s->unclear; }
PUBLIC u32 sieve_keys(const Sieve *s) { return s->keys.keys; }
static const u8 *key_of(const Keys *k, u32 number, size_t *length) {
    *length = k->begins[number + 1] - k->begins[number];
    return k->bytes + k->begins[number];
}
PUBLIC const u8 *sieve_key(const Sieve *s, u32 k, size_t *length) { return key_of(&s->keys, k, length); }
PUBLIC const u32 *sieve_counts(const Sieve *s) { return s->keys.counts; }
PUBLIC void sieve_forget_counts(Sieve *s) { memset(s->keys.counts, 0, s->keys.keys * sizeof *s->keys.counts); }
PUBLIC const List *lanes_list(const Lanes *l, int which) {
    const List *lists[] = {&l->rows, &l->left, &l->fresh, &l->others, &l->found, &l->checks};
    return lists[which];
}
PUBLIC u32 lanes_keys(const Lanes *l) { return l->keys.keys; }
PUBLIC u32 lanes_forms(const Lanes *l) { return l->forms.keys; }
PUBLIC const u8 *lanes_form(const Lanes *l, u32 k, size_t *length) { return key_of(&l->forms, k, length); }
PUBLIC u32 lanes_stamps(const Lanes *l) { return l->stamps.keys; }
PUBLIC const u8 *lanes_stamp(const Lanes *l, u32 k, size_t *length) { return key_of(&l->stamps, k, length); }
PUBLIC const List *anchors_list(const Anchors *a, int which) { return which == 0 ? &a->found : which == 1 ? &a->lines : &a->told; }
