#include "holdfast_compression.h"

#include <limits.h>
#include <lz4.h>
#include <string.h>

size_t holdfast_lz4_compress(const void *plain, size_t count, void *block, size_t room) {
    if (count > LZ4_MAX_INPUT_SIZE || room > INT_MAX) return 0;
    int made = LZ4_compress_default(plain, block, (int)count, (int)room);
    return made > 0 ? (size_t)made : 0;
}

_Bool holdfast_lz4_decompress(const void *block, size_t block_count, void *plain, size_t count) {
    if (block_count > INT_MAX || count > INT_MAX) return 0;
    return LZ4_decompress_safe(block, plain, (int)block_count, (int)count) == (int)count;
}

_Bool holdfast_are_equal(const void *one, const void *other, size_t count) {
    return memcmp(one, other, count) == 0;
}
