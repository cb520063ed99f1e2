#define _GNU_SOURCE
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCKS_PER_READ = 64, FAULTS_TOLD_MAX = 20 };

struct tally {
    uint64_t good, lost_flushed, torn, foreign, unreadable, told;
};

static void tell(struct tally *tally, const char *fault, uint64_t block, struct known known, uint64_t found) {
    if (tally->told++ >= FAULTS_TOLD_MAX) return;
    printf("{\"fault\":\"%s\",\"block\":%llu,\"flushed\":%llu,\"issued\":%llu,\"found\":%llu}\n", fault,
           (unsigned long long)block, (unsigned long long)known.flushed, (unsigned long long)known.issued,
           (unsigned long long)found);
}

static void judge(struct tally *tally, const struct ledger *ledger, uint64_t block, const uint8_t *bytes) {
    struct known known = ledger->known[block];
    struct stamp stamp = {0};
    enum content content = block_read(bytes, &stamp);
    // A version which was never issued was not written by this ledger's owner, whatever its seed says.
    bool ours = stamp.seed == ledger->seed && stamp.block == block && stamp.version <= known.issued;
    if (content == CONTENT_TORN) {
        tally->torn++;
        tell(tally, "torn", block, known, 0);
    } else if (content == CONTENT_FOREIGN || (content == CONTENT_WHOLE && !ours)) {
        tally->foreign++;
        tell(tally, "foreign", block, known, stamp.version);
    } else if (stamp.version < known.flushed) {
        tally->lost_flushed++;
        tell(tally, "lostFlushed", block, known, stamp.version);
    } else {
        tally->good++;
    }
}

static int read_all(struct tally *tally, const struct ledger *ledger, struct nbd_handle *nbd, uint8_t *bytes) {
    for (uint64_t block = 0; block < ledger->blocks; block += BLOCKS_PER_READ) {
        uint64_t left = ledger->blocks - block;
        uint64_t count = left < BLOCKS_PER_READ ? left : BLOCKS_PER_READ;
        int64_t cookie = nbd_aio_pread(nbd, bytes, count * BLOCK_BYTES, block * BLOCK_BYTES, NBD_NULL_COMPLETION, 0);
        int done = -1;
        if (cookie >= 0) done = await_command(nbd, cookie, now_ns() + (uint64_t)READ_MS_MAX * 1000000);
        if (done == 0 || (done < 0 && is_gone(nbd))) return -1;
        for (uint64_t i = 0; done == 1 && i < count; i++) judge(tally, ledger, block + i, bytes + i * BLOCK_BYTES);
        if (done < 0) tally->unreadable += count;
    }
    return 0;
}

int run_verify(const struct options *options) {
    struct ledger ledger;
    if (ledger_open(&ledger, options->ledger) < 0) return EXIT_UNFIT;
    struct nbd_handle *nbd = connect_within(options->uris[0], CONNECT_MS_MAX);
    uint8_t *bytes = malloc((size_t)BLOCKS_PER_READ * BLOCK_BYTES);
    if (!nbd || !bytes) {
        fprintf(stderr, "flushcheck: %s\n", nbd_get_error() ? nbd_get_error() : "no connection");
        return EXIT_UNFIT;
    }
    struct tally tally = {0};
    int broken = read_all(&tally, &ledger, nbd, bytes);
    uint64_t flushed = 0;
    for (uint64_t i = 0; i < ledger.blocks; i++) flushed += ledger.known[i].flushed > 0;
    printf("{\"mode\":\"verify\",\"outcome\":\"%s\",\"blocks\":%llu,\"blocksFlushed\":%llu,\"good\":%llu,"
           "\"lostFlushed\":%llu,\"torn\":%llu,\"foreign\":%llu,\"unreadable\":%llu}\n",
           broken ? "lost" : "finished", (unsigned long long)ledger.blocks, (unsigned long long)flushed,
           (unsigned long long)tally.good, (unsigned long long)tally.lost_flushed, (unsigned long long)tally.torn,
           (unsigned long long)tally.foreign, (unsigned long long)tally.unreadable);
    uint64_t total = ledger.blocks;
    nbd_close(nbd);
    ledger_close(&ledger);
    free(bytes);
    if (broken) return EXIT_LOST;
    return tally.good == total ? EXIT_PASS : EXIT_FAULTS;
}
