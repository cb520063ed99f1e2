#include "check.h"

#include <string.h>

// Every 512-byte sector carries the whole stamp and its own CRC, so that a block torn at any sector shows it,
// and the filler differs in every (seed, block, version, sector), so that a misplaced sector shows it too.
static const uint8_t MAGIC[8] = {'H', 'F', 'C', 'H', 'E', 'C', 'K', '1'};

enum { AT_BLOCK = 8, AT_VERSION = 16, AT_SEED = 24, AT_SECTOR = 32, AT_FILLER = 40, AT_CRC = SECTOR_BYTES - 4 };

static void put64(uint8_t *at, uint64_t value) {
    for (int i = 0; i < 8; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get64(const uint8_t *at) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

uint32_t crc32_of(const void *bytes, size_t count) {
    static const uint32_t nibbles[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;
    for (const uint8_t *at = bytes; count > 0; at++, count--) {
        crc = (crc >> 4) ^ nibbles[(crc ^ *at) & 15];
        crc = (crc >> 4) ^ nibbles[(crc ^ (uint32_t)(*at >> 4)) & 15];
    }
    return ~crc;
}

static uint64_t mix(uint64_t x) {
    x ^= x >> 30, x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27, x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void block_fill(uint8_t *into, struct stamp stamp) {
    for (unsigned sector = 0; sector < SECTORS; sector++) {
        uint8_t *at = into + sector * SECTOR_BYTES;
        memcpy(at, MAGIC, sizeof MAGIC);
        put64(at + AT_BLOCK, stamp.block);
        put64(at + AT_VERSION, stamp.version);
        put64(at + AT_SEED, stamp.seed);
        put64(at + AT_SECTOR, sector);
        uint64_t state = mix(stamp.seed ^ mix(stamp.block ^ mix(stamp.version * SECTORS + sector)));
        memset(at + AT_CRC - 4, 0, 4);
        for (int i = AT_FILLER; i + 8 <= AT_CRC; i += 8) put64(at + i, state = mix(state + 0x9e3779b97f4a7c15u));
        uint32_t crc = crc32_of(at, AT_CRC);
        for (int i = 0; i < 4; i++) at[AT_CRC + i] = (uint8_t)(crc >> (8 * i));
    }
}

static bool is_zero(const uint8_t *at, size_t count) { return at[0] == 0 && memcmp(at, at + 1, count - 1) == 0; }

enum content block_read(const uint8_t *from, struct stamp *stamp) {
    if (is_zero(from, BLOCK_BYTES)) return CONTENT_ZERO;
    bool torn = false;
    for (unsigned sector = 0; sector < SECTORS; sector++) {
        const uint8_t *at = from + sector * SECTOR_BYTES;
        if (is_zero(at, SECTOR_BYTES)) {
            torn = true;
            continue;
        }
        if (memcmp(at, MAGIC, sizeof MAGIC) != 0) return CONTENT_FOREIGN;
        uint32_t crc = 0;
        for (int i = 0; i < 4; i++) crc |= (uint32_t)at[AT_CRC + i] << (8 * i);
        if (crc != crc32_of(at, AT_CRC) || get64(at + AT_SECTOR) != sector) torn = true;
        // Sectors of one write agree in everything from the block number to the seed.
        if (memcmp(at + AT_BLOCK, from + AT_BLOCK, AT_SECTOR - AT_BLOCK) != 0) torn = true;
    }
    if (torn) return CONTENT_TORN;
    *stamp = (struct stamp){get64(from + AT_BLOCK), get64(from + AT_VERSION), get64(from + AT_SEED)};
    return CONTENT_WHOLE;
}
