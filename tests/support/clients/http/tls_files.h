/* tls_files.h - a certificate of 127.0.0.1 that is its own authority, and its key, made for one run. */
#ifndef RECONCILED_TLS_FILES_H
#define RECONCILED_TLS_FILES_H

struct tls_files {
    char folder[64], certificate[128], key[128]; /* paths */
};

/* tls_files_make: in a temporary folder, which tls_files_remove removes. Fails the test when it cannot. */
void tls_files_make(struct tls_files *ret);
void tls_files_remove(const struct tls_files *files);

#endif
