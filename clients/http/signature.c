#include "clients/http/signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hmac_hex(const EVP_MD *digest, const char *secret, const char *body, char ret_hex[SIGNATURE_SIZE])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!HMAC(digest, secret, (int)strlen(secret), (const unsigned char *)body, strlen(body), mac, &len))
        abort(); /* out of memory, see err.h */
    for (unsigned i = 0; i < len; i++)
        snprintf(ret_hex + (size_t)i * 2, 3, "%02x", mac[i]);
}

void signature_sha1(const char *secret, const char *body, char ret_hex[SIGNATURE_SIZE])
{
    hmac_hex(EVP_sha1(), secret, body, ret_hex);
}

void signature_sha256(const char *secret, const char *body, char ret_hex[SIGNATURE_SIZE])
{
    hmac_hex(EVP_sha256(), secret, body, ret_hex);
}
