/* certificates.h - PEM files with certificates and private keys, looked at before they are given to the
 * libraries that use them, whose own errors are vaguer and come later. */
#ifndef RECONCILED_CERTIFICATES_H
#define RECONCILED_CERTIFICATES_H

#include <stdint.h>

#include "clients/base/err.h"

/* certificates_check: the file can be read and holds one certificate at least, and none that is malformed.
 * ERR_INVALID with words that begin with the path. */
ATTR_NODISCARD enum err certificates_check(const char *path, struct why *why);

/* A server's certificate, followed by those that lead to its authority, and its private key. */
struct certificate_pair {
    char *certificate, *key; /* PEM text */
    int64_t ends_us;         /* when the certificate runs out */
};

/* certificate_pair_load: both files, the first certificate and the key belonging together; a key that needs a
 * passphrase cannot be used. ERR_INVALID with words that begin with a path and hold nothing of the key. Free
 * with certificate_pair_done. */
ATTR_NODISCARD enum err certificate_pair_load(const char *certificate_path, const char *key_path,
                                              struct certificate_pair *ret, struct why *why);
/* certificate_pair_done: wipes the key. An empty pair is fine. */
void certificate_pair_done(struct certificate_pair *pair);

#endif
