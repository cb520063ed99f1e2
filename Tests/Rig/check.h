#ifndef HOLDFAST_CHECK_H
#define HOLDFAST_CHECK_H

#include <libnbd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BLOCK_BYTES = 4096,
    SECTOR_BYTES = 512,
    SECTORS = BLOCK_BYTES / SECTOR_BYTES,
    DEPTH_MAX = 256,
    URIS_MAX = 8,
    BLOCKS_MAX = 1 << 24,
    // A handshake that takes longer counts as no server at all: a stopped process accepts and then says nothing.
    CONNECT_MS_MAX = 2000,
    // How long verify waits for one read.
    READ_MS_MAX = 30000,
    // How long write waits for requests still unanswered when its time is over.
    DRAIN_MS_MAX = 10000,
};

enum exit_code { EXIT_PASS = 0, EXIT_FAULTS = 1, EXIT_UNFIT = 2, EXIT_LOST = 3 };

struct stamp {
    uint64_t block, version, seed;
};

enum content {
    CONTENT_ZERO,    // never written
    CONTENT_WHOLE,   // eight sectors of one stamp
    CONTENT_TORN,    // ours, but sectors disagree or one fails its CRC
    CONTENT_FOREIGN  // bytes which this tool never wrote
};

uint32_t crc32_of(const void *bytes, size_t count);
void block_fill(uint8_t *into, struct stamp stamp);
enum content block_read(const uint8_t *from, struct stamp *stamp);

// What is known of one block: `issued` may be on the disk, `flushed` must be.
struct known {
    uint64_t issued, flushed;
};

struct ledger {
    int descriptor;
    uint64_t seed, blocks;
    struct known *known;
};

int ledger_create_or_open(struct ledger *ledger, const char *path, uint64_t seed, uint64_t blocks);
int ledger_open(struct ledger *ledger, const char *path);
int ledger_intend(struct ledger *ledger, uint64_t block, uint64_t version);
int ledger_flushed(struct ledger *ledger, uint64_t block, uint64_t version);
int ledger_sync(struct ledger *ledger);
void ledger_close(struct ledger *ledger);

struct options {
    const char *uris[URIS_MAX];
    int uri_count;
    const char *ledger;
    uint64_t seed, blocks, seconds, interval_ms;
    int depth;
};

uint64_t now_ns(void);
void json_text(const char *text);
struct nbd_handle *connect_within(const char *uri, uint64_t limit_ms);
bool is_gone(struct nbd_handle *nbd);
int await_command(struct nbd_handle *nbd, int64_t cookie, uint64_t until_ns);

int run_write(const struct options *options);
int run_verify(const struct options *options);
int run_try(const struct options *options);

#endif
