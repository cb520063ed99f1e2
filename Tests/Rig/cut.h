#ifndef HOLDFAST_CUT_H
#define HOLDFAST_CUT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
    PAGE_BYTES = 4096,
    BUCKETS = 4096,
    DESCRIPTORS_MAX = 65536,
    // Unsynced bytes held in memory; beyond it everything is written through, counted, and told at once and at exit.
    HELD_BYTES_MAX_DEFAULT = 256 << 20,
};

struct page {
    struct page *next;
    uint64_t index;
    uint8_t bytes[PAGE_BYTES];
};

// One inode under the watched directory: what the program believes is `size` and `pages` over what the disk has.
struct file {
    struct file *next;
    pthread_mutex_t lock;
    dev_t device;
    ino_t inode;
    // Our own descriptor: the program's may be O_APPEND or O_DIRECT. Closing it would drop the program's POSIX locks,
    // so it stays open as long as any of the program's descriptors.
    int own;
    int descriptors;
    // A forked child inherits what is held, but only the process which wrote it may write it out.
    pid_t owner;
    uint64_t size;
    // The disk's bytes from here on were cut off and not yet synced away.
    uint64_t base_end;
    bool resized;
    uint64_t page_count;
    struct page *buckets[BUCKETS];
};

// The C library's own, below this shim.
struct real {
    ssize_t (*pread)(int, void *, size_t, off_t);
    ssize_t (*pwrite)(int, const void *, size_t, off_t);
    int (*ftruncate)(int, off_t);
    int (*fstat)(int, struct stat *);
};
extern struct real cut_real;
extern uint64_t cut_held_bytes_max;
extern _Atomic uint64_t cut_written_through;

// All of these expect the file's lock to be held.
ssize_t cut_read(struct file *file, void *into, size_t count, uint64_t at);
ssize_t cut_write(struct file *file, const void *from, size_t count, uint64_t at);
int cut_resize(struct file *file, uint64_t size);
int cut_zero(struct file *file, uint64_t at, uint64_t count);
int cut_settle(struct file *file);
void cut_discard(struct file *file);
bool cut_is_dirty(const struct file *file);
uint64_t cut_held_bytes(void);

#endif
