// A disk that hangs or fails, for one process: stands before libc by LD_PRELOAD.
//
//   DISK_FOLDER  only files under it are concerned
//   DISK_HANG    while this file exists, fsync and fdatasync do not return
//   DISK_SLOW    while this file exists, they take so many milliseconds more as it says
//   DISK_FAIL    while this file exists, writes and syncs fail with EIO; with EROFS if
//                that is what it says; syncs only if it says SYNC
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_concerned(int fd) {
    const char *folder = getenv("DISK_FOLDER");
    char name[64], path[4096];
    if (!folder) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

static int is_set(const char *variable, int fd) {
    int before = errno;
    const char *file = getenv(variable);
    int set = file && access(file, F_OK) == 0 && is_concerned(fd);
    errno = before;
    return set;
}

// What the file that `variable` names begins with.
static void says(const char *variable, char *word, size_t length) {
    int file = open(getenv(variable), O_RDONLY | O_CLOEXEC);
    word[0] = 0;
    if (file < 0) return;
    ssize_t count = read(file, word, length - 1);
    word[count > 0 ? count : 0] = 0;
    close(file);
}

static void hang(int fd) {
    while (is_set("DISK_HANG", fd)) usleep(10000);
    if (is_set("DISK_SLOW", fd)) {
        char millis[8];
        says("DISK_SLOW", millis, sizeof millis);
        usleep(1000 * (useconds_t)atoi(millis));
    }
}

// Whether the call is to fail; errno says how.
static int fails(int fd, int is_sync) {
    char word[8];
    if (!is_set("DISK_FAIL", fd)) return 0;
    says("DISK_FAIL", word, sizeof word);
    if (strcmp(word, "SYNC") == 0 && !is_sync) return 0;
    errno = strcmp(word, "EROFS") == 0 ? EROFS : EIO;
    return 1;
}

#define REAL(type, name, ...)                                     \
    static type (*real)(__VA_ARGS__);                             \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    hang(fd);
    return fails(fd, 1) ? -1 : real(fd);
}
int fsync(int fd) {
    REAL(int, fsync, int);
    hang(fd);
    return fails(fd, 1) ? -1 : real(fd);
}
int sync_file_range(int fd, off64_t from, off64_t length, unsigned flags) {
    REAL(int, sync_file_range, int, off64_t, off64_t, unsigned);
    return fails(fd, 1) ? -1 : real(fd, from, length, flags);
}
ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    return fails(fd, 0) ? -1 : real(fd, bytes, length);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    return fails(fd, 0) ? -1 : real(fd, parts, count);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    return fails(fd, 0) ? -1 : real(fd, bytes, length, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    return fails(fd, 0) ? -1 : real(fd, bytes, length, at);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    REAL(ssize_t, pwritev, int, const struct iovec *, int, off_t);
    return fails(fd, 0) ? -1 : real(fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    REAL(ssize_t, pwritev64, int, const struct iovec *, int, off64_t);
    return fails(fd, 0) ? -1 : real(fd, parts, count, at);
}
