#include "checksum.h"

#include <string.h>

// One table entry per byte value; computed on first use would need a lock, so the
// portable form works bit by bit over nibbles instead: it exists for processors
// without the instruction and for tests, not for speed.
static const uint32_t nibble_table[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
    0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
    0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t holdfast_crc32c_portable(uint32_t seed, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    uint32_t crc = ~seed;
    for (size_t i = 0; i < count; i++) {
        crc = nibble_table[(crc ^ p[i]) & 15] ^ (crc >> 4);
        crc = nibble_table[(crc ^ (p[i] >> 4)) & 15] ^ (crc >> 4);
    }
    return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>

// The instruction takes three cycles and can begin one a cycle, so three streams over neighbouring
// parts cost as much as one. A part's CRC is then moved past the parts behind it: multiplied by
// x^(8 * bytes - 33) modulo the polynomial, which the instruction itself reduces (Gopal et al., "Fast
// CRC Computation for iSCSI Polynomial Using CRC32 Instruction", 2011, section 4).
enum { LONG_PART = 1344, SHORT_PART = 128 };
#define PAST_LONG 0xc9c8b782u
#define PAST_TWO_LONG 0x889774e1u
#define PAST_SHORT 0x0d3b6092u
#define PAST_TWO_SHORT 0xb9e02b86u

static inline uint64_t word_at(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

__attribute__((target("sse4.2,pclmul")))
static inline uint64_t moved(uint64_t crc, uint32_t past) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc), _mm_cvtsi64_si128(past), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2,pclmul")))
static inline uint64_t three_parts(
    uint64_t crc, const uint8_t *p, size_t part, uint32_t past, uint32_t past_two) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < part; i += 8) {
        crc = _mm_crc32_u64(crc, word_at(p + i));
        second = _mm_crc32_u64(second, word_at(p + part + i));
        third = _mm_crc32_u64(third, word_at(p + 2 * part + i));
    }
    return moved(crc, past_two) ^ moved(second, past) ^ third;
}

// As much as whole triples cover; how many bytes are left is in `count`.
__attribute__((target("sse4.2,pclmul")))
static uint64_t crc32c_triples(uint64_t crc, const uint8_t *p, size_t *count) {
    for (; *count >= 3 * LONG_PART; p += 3 * LONG_PART, *count -= 3 * LONG_PART) {
        crc = three_parts(crc, p, LONG_PART, PAST_LONG, PAST_TWO_LONG);
    }
    for (; *count >= 3 * SHORT_PART; p += 3 * SHORT_PART, *count -= 3 * SHORT_PART) {
        crc = three_parts(crc, p, SHORT_PART, PAST_SHORT, PAST_TWO_SHORT);
    }
    return crc;
}

__attribute__((target("sse4.2")))
static uint64_t crc32c_words(uint64_t crc, const uint8_t *p, size_t count) {
    for (; count >= 8; p += 8, count -= 8) crc = _mm_crc32_u64(crc, word_at(p));
    for (; count > 0; p++, count--) crc = _mm_crc32_u8((uint32_t)crc, *p);
    return crc;
}

uint32_t holdfast_crc32c(uint32_t seed, const void *bytes, size_t count) {
    if (!__builtin_cpu_supports("sse4.2")) return holdfast_crc32c_portable(seed, bytes, count);
    uint64_t crc = (uint32_t)~seed;
    size_t left = count;
    if (count >= 3 * SHORT_PART && __builtin_cpu_supports("pclmul")) {
        crc = crc32c_triples(crc, bytes, &left);
    }
    return ~(uint32_t)crc32c_words(crc, (const uint8_t *)bytes + (count - left), left);
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

uint32_t holdfast_crc32c(uint32_t seed, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    uint32_t crc = ~seed;
    while (count >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = __crc32cd(crc, word);
        p += 8;
        count -= 8;
    }
    while (count > 0) {
        crc = __crc32cb(crc, *p);
        p += 1;
        count -= 1;
    }
    return ~crc;
}
#else
uint32_t holdfast_crc32c(uint32_t seed, const void *bytes, size_t count) {
    return holdfast_crc32c_portable(seed, bytes, count);
}
#endif
