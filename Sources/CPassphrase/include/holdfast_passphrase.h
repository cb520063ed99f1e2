#ifndef HOLDFAST_PASSPHRASE_H
#define HOLDFAST_PASSPHRASE_H

#include <stddef.h>
#include <stdint.h>

/// Argon2id (RFC 9106, version 0x13): 32 bytes from a passphrase. False where the costs are not lawful or
/// memory is short.
_Bool holdfast_argon2id(uint32_t passes, uint32_t memory_kib, uint32_t lanes, const void *passphrase,
                        size_t passphrase_count, const void *salt, size_t salt_count, void *made);

#endif
