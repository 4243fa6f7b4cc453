/* signature.h - the HMAC of a request's body, in hex digits. Thread-safe. */
#ifndef RECONCILED_SIGNATURE_H
#define RECONCILED_SIGNATURE_H

/* Room for any of them. */
#define SIGNATURE_SIZE 65

void signature_sha1(const char *secret, const char *body, char ret_hex[SIGNATURE_SIZE]);
void signature_sha256(const char *secret, const char *body, char ret_hex[SIGNATURE_SIZE]);

#endif
