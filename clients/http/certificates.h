/* certificates.h - checks PEM files with certificates and private keys before they are given to the libraries
 * that use them, whose own errors are less precise and come later. */
#ifndef RECONCILED_CERTIFICATES_H
#define RECONCILED_CERTIFICATES_H

#include <stdint.h>

#include "clients/base/err.h"

/* certificates_check: ERR_OK if the file can be read and holds at least one certificate and no malformed one.
 * ERR_INVALID: `why` begins with the path. */
ATTR_NODISCARD enum err certificates_check(const char *path, struct why *why);

/* A server's certificate, followed by the chain to its authority, and its private key. */
struct certificate_pair {
    char *certificate, *key; /* PEM text */
    int64_t ends_us;         /* when the certificate runs out */
};

/* certificate_pair_load: reads both files and checks that the key belongs to the first certificate. A key
 * with a passphrase is refused. ERR_INVALID: `why` begins with the path and shows nothing of the key. Free
 * with certificate_pair_done. */
ATTR_NODISCARD enum err certificate_pair_load(const char *certificate_path, const char *key_path,
                                              struct certificate_pair *ret, struct why *why);
/* certificate_pair_done: wipes the key. An empty pair is fine. */
void certificate_pair_done(struct certificate_pair *pair);

#endif
