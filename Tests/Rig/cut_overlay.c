// The bytes between a program's write and its sync, kept in memory: a volatile disk cache, and nothing more.
#define _GNU_SOURCE
#include "cut.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct real cut_real;
uint64_t cut_held_bytes_max = HELD_BYTES_MAX_DEFAULT;
_Atomic uint64_t cut_written_through;
static _Atomic uint64_t held_bytes;

uint64_t cut_held_bytes(void) { return atomic_load(&held_bytes); }
bool cut_is_dirty(const struct file *file) { return file->page_count > 0 || file->resized; }

static struct page **find(struct file *file, uint64_t index) {
    struct page **at = &file->buckets[index % BUCKETS];
    while (*at && (*at)->index != index) at = &(*at)->next;
    return at;
}

// The disk's bytes, with zeros where it has none.
static int read_base(struct file *file, uint8_t *into, size_t count, uint64_t at) {
    while (count > 0 && at < file->base_end) {
        size_t part = count < file->base_end - at ? count : (size_t)(file->base_end - at);
        ssize_t got = cut_real.pread(file->own, into, part, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        into += got, count -= (size_t)got, at += (uint64_t)got;
    }
    memset(into, 0, count);
    return 0;
}

static int write_base(struct file *file, const uint8_t *from, size_t count, uint64_t at) {
    while (count > 0) {
        ssize_t put = cut_real.pwrite(file->own, from, count, (off_t)at);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return -1;
        from += put, count -= (size_t)put, at += (uint64_t)put;
    }
    return 0;
}

static struct page *hold(struct file *file, uint64_t index, bool whole) {
    struct page **slot = find(file, index);
    if (*slot) return *slot;
    struct page *page = malloc(sizeof *page);
    if (!page) return NULL;
    *page = (struct page){.index = index};
    if (!whole && read_base(file, page->bytes, PAGE_BYTES, index * PAGE_BYTES) < 0) {
        free(page);
        return NULL;
    }
    *slot = page;
    file->page_count++;
    file->owner = getpid();
    atomic_fetch_add(&held_bytes, PAGE_BYTES);
    return page;
}

ssize_t cut_read(struct file *file, void *into, size_t count, uint64_t at) {
    if (at >= file->size) return 0;
    if (count > file->size - at) count = file->size - at;
    uint8_t *to = into;
    for (size_t done = 0; done < count;) {
        uint64_t offset = at + done, within = offset % PAGE_BYTES;
        size_t part = PAGE_BYTES - within < count - done ? PAGE_BYTES - within : count - done;
        struct page *page = *find(file, offset / PAGE_BYTES);
        if (page) memcpy(to + done, page->bytes + within, part);
        else if (read_base(file, to + done, part, offset) < 0) return -1;
        done += part;
    }
    return (ssize_t)count;
}

static int relieve(struct file *file) {
    if (cut_held_bytes() <= cut_held_bytes_max) return 0;
    // Told at once, because a killed process has no exit to tell it at.
    if (atomic_fetch_add(&cut_written_through, file->page_count * PAGE_BYTES) == 0)
        dprintf(2, "powercut: writing through: over HOLDFAST_POWERCUT_BYTES_MAX\n");
    return cut_settle(file);
}

ssize_t cut_write(struct file *file, const void *from, size_t count, uint64_t at) {
    const uint8_t *bytes = from;
    for (size_t done = 0; done < count;) {
        uint64_t offset = at + done, within = offset % PAGE_BYTES;
        size_t part = PAGE_BYTES - within < count - done ? PAGE_BYTES - within : count - done;
        struct page *page = hold(file, offset / PAGE_BYTES, part == PAGE_BYTES);
        if (!page) {
            errno = EIO;
            return -1;
        }
        memcpy(page->bytes + within, bytes + done, part);
        done += part;
    }
    if (count > 0 && at + count > file->size) {
        file->size = at + count;
        file->resized = true;
    }
    return relieve(file) < 0 ? -1 : (ssize_t)count;
}

static void drop(struct file *file, struct page **slot) {
    struct page *page = *slot;
    *slot = page->next;
    free(page);
    file->page_count--;
    atomic_fetch_sub(&held_bytes, PAGE_BYTES);
}

int cut_zero(struct file *file, uint64_t at, uint64_t count) {
    static const uint8_t zeros[PAGE_BYTES];
    while (count > 0) {
        size_t part = PAGE_BYTES - at % PAGE_BYTES < count ? (size_t)(PAGE_BYTES - at % PAGE_BYTES) : (size_t)count;
        if (cut_write(file, zeros, part, at) < 0) return -1;
        at += part, count -= part;
    }
    return 0;
}

// Bytes cut off must read as zeros when the file grows again, though the disk still has them: `base_end` hides them.
int cut_resize(struct file *file, uint64_t size) {
    if (size == file->size) return 0;
    if (size < file->base_end) file->base_end = size;
    for (unsigned i = 0; size < file->size && i < BUCKETS; i++)
        for (struct page *page = file->buckets[i]; page; page = page->next) {
            uint64_t start = page->index * PAGE_BYTES;
            if (start + PAGE_BYTES <= size) continue;
            uint64_t within = start >= size ? 0 : size - start;
            memset(page->bytes + within, 0, PAGE_BYTES - within);
        }
    file->size = size;
    file->resized = true;
    file->owner = getpid();
    return 0;
}

// To the disk's hands; the caller then syncs. Pages past the end carry only zeros and are dropped.
int cut_settle(struct file *file) {
    if (file->resized) {
        struct stat status;
        if (cut_real.fstat(file->own, &status) < 0) return -1;
        uint64_t base = (uint64_t)status.st_size;
        if (file->base_end < base) {
            if (cut_real.ftruncate(file->own, (off_t)file->base_end) < 0) return -1;
            base = file->base_end;
        }
        if (base != file->size && cut_real.ftruncate(file->own, (off_t)file->size) < 0) return -1;
        file->base_end = UINT64_MAX;
        file->resized = false;
    }
    for (unsigned i = 0; i < BUCKETS && file->page_count > 0; i++)
        while (file->buckets[i]) {
            struct page *page = file->buckets[i];
            uint64_t at = page->index * PAGE_BYTES;
            uint64_t count = at >= file->size ? 0 : file->size - at < PAGE_BYTES ? file->size - at : PAGE_BYTES;
            if (write_base(file, page->bytes, count, at) < 0) return -1;
            drop(file, &file->buckets[i]);
        }
    return 0;
}

void cut_discard(struct file *file) {
    for (unsigned i = 0; i < BUCKETS; i++)
        while (file->buckets[i]) drop(file, &file->buckets[i]);
    file->resized = false;
    file->base_end = UINT64_MAX;
}
