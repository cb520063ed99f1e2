#ifndef HOLDFAST_COMPRESSION_H
#define HOLDFAST_COMPRESSION_H

#include <stddef.h>
#include <stdint.h>

/// The LZ4 block of `count` bytes in at most `room` bytes; 0 where they don't fit.
size_t holdfast_lz4_compress(const void *plain, size_t count, void *block, size_t room);

/// Takes an LZ4 block apart into exactly `count` bytes; false where it is not such a block. Reads and
/// writes nothing outside, whatever the block says.
_Bool holdfast_lz4_decompress(const void *block, size_t block_count, void *plain, size_t count);

/// Whether two texts of `count` bytes are the same.
_Bool holdfast_are_equal(const void *one, const void *other, size_t count);

#endif
