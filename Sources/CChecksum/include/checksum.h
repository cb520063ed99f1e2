#ifndef HOLDFAST_CHECKSUM_H
#define HOLDFAST_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `count` bytes, continuing from `seed`
/// (0 to begin). crc(a ++ b) == crc(b, seed: crc(a)).
uint32_t holdfast_crc32c(uint32_t seed, const void *bytes, size_t count);

/// The portable, table-driven form; tests hold the fast one to it.
uint32_t holdfast_crc32c_portable(uint32_t seed, const void *bytes, size_t count);

#endif
