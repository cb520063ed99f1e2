#include "holdfast_passphrase.h"

#include <argon2.h>

_Bool holdfast_argon2id(uint32_t passes, uint32_t memory_kib, uint32_t lanes, const void *passphrase,
                        size_t passphrase_count, const void *salt, size_t salt_count, void *made) {
    return argon2id_hash_raw(passes, memory_kib, lanes, passphrase, passphrase_count, salt,
                             salt_count, made, 32) == ARGON2_OK;
}
