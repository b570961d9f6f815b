/*
 * Disk with a fixed flush latency, for LD_PRELOAD.
 *
 * Calls that wait until data is on disk (fsync, fdatasync, syncfs, msync with MS_SYNC, and writes to
 * descriptors opened with O_DSYNC or O_SYNC, or with RWF_DSYNC or RWF_SYNC) return after a fixed time
 * instead. Data is written to the page cache as always; only the wait for the device is replaced.
 * Each such call is counted, in a page that all processes share.
 *
 * - Flushes overlap, each with its own time, unless `queued` is set: then one runs at a time, and all
 *   calls that arrive meanwhile share the next, as in Linux (block/blk-flush.c).
 * - O_DSYNC, O_SYNC and O_DIRECT are removed at open, since the kernel would wait for the device.
 *   F_GETFL does not show them.
 * - A descriptor that is inherited over exec or received over a socket is not known here: its writes
 *   are neither delayed nor counted. Nor are system calls that do not go through the C library.
 * - sync_file_range is no sync: it does not flush the cache of the drive, nor write metadata.
 *
 * Without BENCH_DISK in the environment nothing changes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTORS 65536 /* higher ones are not looked at */
#define SECOND 1000000000
#define SYNCED (O_SYNC | O_DSYNC)
#define EXPORT __attribute__((visibility("default")))

/* The layout is that of fixed_latency.py. */
struct shared {
    _Atomic uint64_t latency_ns;
    _Atomic uint64_t fsyncs; /* fsync, fdatasync, syncfs */
    _Atomic uint64_t msyncs;
    _Atomic uint64_t writes;
    _Atomic uint64_t queued;
    _Atomic uint64_t last_end_ns; /* end of the last flush, where they are queued */
};

static struct shared *shared;

/* Identity of the files behind descriptors that were opened for synchronous writes. A descriptor can
 * be closed inside the C library (fclose), so the identity is compared at each write. */
struct synced {
    _Atomic uint64_t inode; /* 0: the descriptor is not synchronous */
    _Atomic uint64_t device;
};
static struct synced synced[DESCRIPTORS];

__attribute__((constructor)) static void map_shared(void) {
    const char *path = getenv("BENCH_DISK");
    if (path == NULL)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *page = fd < 0 ? MAP_FAILED
                        : mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        static const char message[] = "bench disk: cannot map the file of BENCH_DISK\n";
        (void)!write(STDERR_FILENO, message, sizeof message - 1);
        _exit(127); /* a server without the latency would be compared with others that have it */
    }
    close(fd);
    shared = page;
}

/* Return the end of the flush that a call at `now` has to wait for. */
static uint64_t flush_end(uint64_t now, uint64_t latency) {
    if (!atomic_load_explicit(&shared->queued, memory_order_relaxed))
        return now + latency;
    uint64_t last = atomic_load(&shared->last_end_ns), end;
    do {
        if (last <= now)
            end = now + latency;
        else if (now + latency < last)
            return last; /* the last one has not started */
        else
            end = last + latency;
    } while (!atomic_compare_exchange_weak(&shared->last_end_ns, &last, end));
    return end;
}

/* Count a sync, and wait. Keeps errno. */
static void flush(_Atomic uint64_t *counter) {
    static _Thread_local int exact;
    int before = errno;
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    uint64_t latency = atomic_load_explicit(&shared->latency_ns, memory_order_relaxed);
    if (latency != 0) {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        if (!exact) {
            prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* otherwise 50 us late */
            exact = 1;
        }
        uint64_t now = (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
        uint64_t end = flush_end(now, latency);
        time.tv_sec = (time_t)(end / SECOND);
        time.tv_nsec = (long)(end % SECOND);
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
            ;
    }
    errno = before;
}

#define REAL(type, name, ...)                                        \
    static type (*real)(__VA_ARGS__);                                \
    if (real == NULL)                                                \
    *(void **)&real = dlsym(RTLD_NEXT, name)

/* Syncs of a file */

static int flush_file(int fd) {
    if (fcntl(fd, F_GETFD) < 0)
        return -1; /* EBADF */
    flush(&shared->fsyncs);
    return 0;
}

#define FILE_SYNC(name)                \
    EXPORT int name(int fd) {          \
        REAL(int, #name, int);         \
        return shared ? flush_file(fd) : real(fd); \
    }
FILE_SYNC(fsync)
FILE_SYNC(fdatasync)
FILE_SYNC(syncfs)

EXPORT int msync(void *address, size_t length, int flags) {
    REAL(int, "msync", void *, size_t, int);
    if (shared == NULL || !(flags & MS_SYNC))
        return real(address, length, flags);
    /* A shared mapping is the page cache. MS_ASYNC only checks the arguments. */
    int result = real(address, length, (flags & ~MS_SYNC) | MS_ASYNC);
    if (result == 0)
        flush(&shared->msyncs);
    return result;
}

/* Descriptors with synchronous writes */

static void set_synced(int fd, int yes) {
    struct stat st;
    if (fd < 0 || fd >= DESCRIPTORS)
        return;
    uint64_t inode = 0;
    if (yes && fstat(fd, &st) == 0) {
        inode = (uint64_t)st.st_ino;
        atomic_store(&synced[fd].device, (uint64_t)st.st_dev);
    }
    if (inode != 0 || atomic_load(&synced[fd].inode) != 0)
        atomic_store(&synced[fd].inode, inode);
}

static int is_synced(int fd) {
    struct stat st;
    if (fd < 0 || fd >= DESCRIPTORS || atomic_load(&synced[fd].inode) == 0)
        return 0;
    int before = errno;
    int same = fstat(fd, &st) == 0 && (uint64_t)st.st_ino == atomic_load(&synced[fd].inode) &&
               (uint64_t)st.st_dev == atomic_load(&synced[fd].device);
    errno = before;
    return same;
}

static int opened(int fd, int flags) {
    if (shared && fd >= 0) {
        int before = errno;
        set_synced(fd, flags & O_DSYNC);
        errno = before;
    }
    return fd;
}

/* O_SYNC contains O_DSYNC; O_DIRECT without them is a matter of caching, and stays. */
static int unsynced(int flags) {
    return shared && (flags & O_DSYNC) ? flags & ~(SYNCED | O_DIRECT) : flags;
}

#define MODE(last)                                  \
    mode_t mode = 0;                                \
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { \
        va_list more;                               \
        va_start(more, last);                       \
        mode = va_arg(more, mode_t);                \
        va_end(more);                               \
    }

#define OPEN(name)                                                      \
    EXPORT int name(const char *path, int flags, ...) {                 \
        REAL(int, #name, const char *, int, ...);                       \
        MODE(flags)                                                     \
        return opened(real(path, unsynced(flags), mode), flags);        \
    }
#define OPENAT(name)                                                    \
    EXPORT int name(int at, const char *path, int flags, ...) {         \
        REAL(int, #name, int, const char *, int, ...);                  \
        MODE(flags)                                                     \
        return opened(real(at, path, unsynced(flags), mode), flags);    \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* Entry points of programs compiled with _FORTIFY_SOURCE */
EXPORT int __open_2(const char *path, int flags) { return open(path, flags); }
EXPORT int __open64_2(const char *path, int flags) { return open64(path, flags); }
EXPORT int __openat_2(int at, const char *path, int flags) { return openat(at, path, flags); }
EXPORT int __openat64_2(int at, const char *path, int flags) { return openat64(at, path, flags); }

EXPORT int dup(int fd) {
    REAL(int, "dup", int);
    return opened(real(fd), is_synced(fd) ? O_DSYNC : 0);
}
EXPORT int dup2(int fd, int to) {
    REAL(int, "dup2", int, int);
    return opened(real(fd, to), is_synced(fd) ? O_DSYNC : 0);
}
EXPORT int dup3(int fd, int to, int flags) {
    REAL(int, "dup3", int, int, int);
    return opened(real(fd, to, flags), is_synced(fd) ? O_DSYNC : 0);
}

#define FCNTL(name)                                                           \
    EXPORT int name(int fd, int command, ...) {                               \
        REAL(int, #name, int, int, ...);                                      \
        va_list more;                                                         \
        va_start(more, command);                                              \
        void *argument = va_arg(more, void *);                                \
        va_end(more);                                                         \
        int result = real(fd, command, argument);                             \
        if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)                 \
            opened(result, is_synced(fd) ? O_DSYNC : 0);                      \
        return result;                                                        \
    }
FCNTL(fcntl)
FCNTL(fcntl64)

/* Writes */

static ssize_t written(int fd, ssize_t result) {
    if (result >= 0 && is_synced(fd))
        flush(&shared->writes);
    return result;
}

EXPORT ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return written(fd, real(fd, data, size));
}
EXPORT ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    return written(fd, real(fd, parts, count));
}

#define PWRITE(name)                                                              \
    EXPORT ssize_t name(int fd, const void *data, size_t size, off_t offset) {    \
        REAL(ssize_t, #name, int, const void *, size_t, off_t);                   \
        return written(fd, real(fd, data, size, offset));                         \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name)                                                                   \
    EXPORT ssize_t name(int fd, const struct iovec *parts, int count, off_t offset) {   \
        REAL(ssize_t, #name, int, const struct iovec *, int, off_t);                    \
        return written(fd, real(fd, parts, count, offset));                             \
    }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define PWRITEV2(name)                                                                     \
    EXPORT ssize_t name(int fd, const struct iovec *parts, int count, off_t offset,        \
                        int flags) {                                                       \
        REAL(ssize_t, #name, int, const struct iovec *, int, off_t, int);                  \
        int sync = shared && (flags & (RWF_DSYNC | RWF_SYNC));                             \
        if (sync)                                                                          \
            flags &= ~(RWF_DSYNC | RWF_SYNC);                                              \
        ssize_t result = real(fd, parts, count, offset, flags);                            \
        if (!sync)                                                                         \
            return written(fd, result);                                                    \
        if (result >= 0)                                                                   \
            flush(&shared->writes);                                                        \
        return result;                                                                     \
    }
PWRITEV2(pwritev2)
PWRITEV2(pwritev64v2)
