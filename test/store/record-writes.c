// Preloaded into a process, records in order what it writes and syncs below RECORD_FOLDER into RECORD_LOG, so that a
// test can rebuild the files as a power cut would have left them. One record: op, path length, offset, data length
// (native u64 each), path, data. Ops: c created, w written, t truncated, s synced, u unlinked.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void put(const void *data, size_t size) {
  static ssize_t (*real_write)(int, const void *, size_t);
  if (!real_write) real_write = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  while (size > 0) {
    ssize_t done = real_write(log_fd, data, size);
    if (done <= 0) abort();
    data = (const char *)data + done;
    size -= done;
  }
}

static int is_recorded(const char *path) {
  const char *folder = getenv("RECORD_FOLDER");
  return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static void record(char op, const char *path, uint64_t offset, const void *data, uint64_t size) {
  if (!is_recorded(path)) return;
  pthread_mutex_lock(&lock);
  if (log_fd < 0) {
    int (*real_open)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    log_fd = real_open(getenv("RECORD_LOG"), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) abort();
  }
  uint64_t head[4] = {(uint64_t)op, strlen(path), offset, data ? size : 0};
  put(head, sizeof head);
  put(path, strlen(path));
  if (data) put(data, size);
  pthread_mutex_unlock(&lock);
}

static const char *path_of(int fd, char *buffer, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, buffer, size - 1);
  if (length < 0) return NULL;
  buffer[length] = 0;
  return buffer;
}

static void record_fd(char op, int fd, uint64_t offset, const void *data, uint64_t size) {
  char buffer[4096];
  record(op, path_of(fd, buffer, sizeof buffer), offset, data, size);
}

#define OPEN_BODY(name)                                             \
  mode_t mode = 0;                                                  \
  if (flags & O_CREAT) {                                            \
    va_list rest;                                                   \
    va_start(rest, flags);                                          \
    mode = va_arg(rest, mode_t);                                    \
    va_end(rest);                                                   \
  }                                                                 \
  int is_new = (flags & O_CREAT) && access(path, F_OK) != 0;        \
  int fd = REAL(name)(path, flags, mode);                           \
  if (fd >= 0 && is_new) record('c', path, 0, NULL, 0);             \
  if (fd >= 0 && !is_new && (flags & O_TRUNC)) record('t', path, 0, NULL, 0); \
  return fd;

int open(const char *path, int flags, ...) { OPEN_BODY(open) }
int open64(const char *path, int flags, ...) { OPEN_BODY(open64) }

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  ssize_t done = REAL(pwrite)(fd, data, size, offset);
  if (done > 0) record_fd('w', fd, offset, data, done);
  return done;
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
  ssize_t done = REAL(pwrite64)(fd, data, size, offset);
  if (done > 0) record_fd('w', fd, offset, data, done);
  return done;
}
ssize_t write(int fd, const void *data, size_t size) {
  ssize_t done = REAL(write)(fd, data, size);
  if (done > 0) {
    off_t end = lseek(fd, 0, SEEK_CUR);
    if (end >= done) record_fd('w', fd, end - done, data, done);
  }
  return done;
}
int ftruncate(int fd, off_t size) {
  int result = REAL(ftruncate)(fd, size);
  if (result == 0) record_fd('t', fd, size, NULL, 0);
  return result;
}
int ftruncate64(int fd, off64_t size) {
  int result = REAL(ftruncate64)(fd, size);
  if (result == 0) record_fd('t', fd, size, NULL, 0);
  return result;
}
int fsync(int fd) {
  int result = REAL(fsync)(fd);
  if (result == 0) record_fd('s', fd, 0, NULL, 0);
  return result;
}
int fdatasync(int fd) {
  int result = REAL(fdatasync)(fd);
  if (result == 0) record_fd('s', fd, 0, NULL, 0);
  return result;
}
int unlink(const char *path) {
  int result = REAL(unlink)(path);
  if (result == 0) record('u', path, 0, NULL, 0);
  return result;
}
