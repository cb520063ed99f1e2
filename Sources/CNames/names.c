#include "holdfast_names.h"

#if defined(__x86_64__)

#include <intel-ipsec-mb.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 32, BLOCK = 64, NAME = 32 };

struct holdfast_names {
    IMB_MGR *manager;
    // What SHA-256 has come to behind the key's block, in the inner hash and in the outer one.
    _Alignas(16) uint32_t inner[NAME / 4];
    _Alignas(16) uint32_t outer[NAME / 4];
    IMB_JOB jobs[IMB_MAX_BURST_SIZE];
};

static void begin(IMB_MGR *manager, const uint8_t *key, uint8_t filler, uint32_t *state) {
    uint8_t block[BLOCK];
    memset(block, filler, BLOCK);
    for (int at = 0; at < KEY; at++) block[at] ^= key[at];
    IMB_SHA256_ONE_BLOCK(manager, block, state);
    imb_clear_mem(block, BLOCK);
}

holdfast_names *holdfast_names_make(const void *key) {
    holdfast_names *names = NULL;
    if (posix_memalign((void **)&names, 64, sizeof *names) != 0) return NULL;
    memset(names, 0, sizeof *names);
    names->manager = alloc_mb_mgr(0);
    if (names->manager == NULL) {
        free(names);
        return NULL;
    }
    IMB_ARCH found;
    init_mb_mgr_auto(names->manager, &found);
    if (found == IMB_ARCH_NONE || imb_get_errno(names->manager) != 0) {
        holdfast_names_free(names);
        return NULL;
    }
    begin(names->manager, key, 0x36, names->inner);
    begin(names->manager, key, 0x5c, names->outer);
    return names;
}

void holdfast_names_free(holdfast_names *names) {
    if (names == NULL) return;
    free_mb_mgr(names->manager);
    imb_clear_mem(names, sizeof *names);
    free(names);
}

static uint32_t burst(holdfast_names *names, const uint8_t *bytes, const size_t *starts, uint32_t count, size_t byte_count, uint8_t *made) {
    for (uint32_t at = 0; at < count; at++) {
        IMB_JOB *job = &names->jobs[at];
        job->src = bytes + starts[at];
        job->hash_start_src_offset_in_bytes = 0;
        job->msg_len_to_hash_in_bytes = byte_count;
        job->auth_tag_output = made + at * NAME;
        job->auth_tag_output_len_in_bytes = NAME;
        job->u.HMAC._hashed_auth_key_xor_ipad = (const uint8_t *)names->inner;
        job->u.HMAC._hashed_auth_key_xor_opad = (const uint8_t *)names->outer;
    }
    return IMB_SUBMIT_HASH_BURST(names->manager, names->jobs, count, IMB_AUTH_HMAC_SHA_256);
}

_Bool holdfast_names_of(holdfast_names *names, const void *bytes, const size_t *starts, size_t count, size_t byte_count, void *made) {
    if (byte_count == 0 || byte_count >= HOLDFAST_NAMES_TEXT_MAX) return 0;
    for (size_t done = 0; done < count;) {
        uint32_t now = count - done < IMB_MAX_BURST_SIZE ? (uint32_t)(count - done) : IMB_MAX_BURST_SIZE;
        if (burst(names, bytes, starts + done, now, byte_count, (uint8_t *)made + done * NAME) != now) return 0;
        done += now;
    }
    return 1;
}

#else

holdfast_names *holdfast_names_make(const void *key) { return NULL; }
void holdfast_names_free(holdfast_names *names) {}
_Bool holdfast_names_of(holdfast_names *names, const void *bytes, const size_t *starts, size_t count, size_t byte_count, void *made) { return 0; }

#endif
