#define _GNU_SOURCE
#include "allocator.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void holdfast_keep_heap_small(int trim_bytes) {
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, trim_bytes);
}

void holdfast_bound_heap(int arenas, int map_bytes, int trim_bytes) {
    mallopt(M_ARENA_MAX, arenas);
    mallopt(M_MMAP_THRESHOLD, map_bytes);
    mallopt(M_TRIM_THRESHOLD, trim_bytes);
}

void holdfast_trim_heap(void) { malloc_trim(0); }

size_t holdfast_free_bytes(void) { return mallinfo2().fordblks; }

static int unmap_code(struct dl_phdr_info *object, size_t size, void *page_bytes) {
    (void)size;
    uintptr_t page = *(uintptr_t *)page_bytes;
    for (int at = 0; at < object->dlpi_phnum; at++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[at];
        // What was written to differs from its file, and would be lost.
        if (part->p_type != PT_LOAD || part->p_flags & PF_W) continue;
        uintptr_t start = (object->dlpi_addr + part->p_vaddr + page - 1) & ~(page - 1);
        uintptr_t end = (object->dlpi_addr + part->p_vaddr + part->p_memsz) & ~(page - 1);
        if (start < end) madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void holdfast_unmap_code(void) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    dl_iterate_phdr(unmap_code, &page);
}
