#include "clients/http/certificates.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"

static void text_wipe(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

/* The whole file as text, which may be a private key's. Caller frees with text_wipe. */
static enum err pem_read(const char *path, char **ret, struct why *why)
{
    enum err err = ERR_OK;
    char *text = mem_zero(LIMIT_PEM_FILE + 2, 1);
    ssize_t len = file_read(path, text, LIMIT_PEM_FILE + 1);
    if (len < 0)
        err = why_set(why, ERR_INVALID, "%s: cannot be read: %s", path, file_error());
    else if ((size_t)len > LIMIT_PEM_FILE)
        err = why_set(why, ERR_INVALID, "%s: is larger than %zu KiB", path, LIMIT_PEM_FILE / 1024);
    else if (strlen(text) < (size_t)len)
        err = why_set(why, ERR_INVALID, "%s: is no PEM file: it has a NUL byte in it", path);
    else if (text_bom_len(text, (size_t)len) >
             0) /* OpenSSL, which reads the file again, passes over a block */
        err = why_set(why, ERR_INVALID, "%s: is no PEM file: it begins with a byte order mark", path);
    if (err)
        text_wipe(text);
    else
        *ret = text;
    return err;
}

/* Instead of asking at the terminal. */
static int no_passphrase(char *ret, int size, int writing, void *arg)
{
    (void)ret;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

/* Reads certificates to the text's end; *ret_first (may be NULL) is the first of them, or NULL. */
static enum err certificates_read(const char *path, const char *text, X509 **ret_first, struct why *why)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *first = NULL, *next = NULL;
    size_t n = 0;
    ERR_clear_error();
    while (bio && (next = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
        if (n++ == 0)
            first = next;
        else
            X509_free(next);
    }
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    BIO_free(bio);
    if (n > 0 && ended && ret_first) {
        *ret_first = first;
        return ERR_OK;
    }
    X509_free(first);
    if (!ended)
        return why_set(why, ERR_INVALID, "%s: certificate %zu in it is malformed", path, n + 1);
    return n > 0 ? ERR_OK : why_set(why, ERR_INVALID, "%s: holds no certificate in PEM form", path);
}

enum err certificates_check(const char *path, struct why *why)
{
    char *text = NULL;
    enum err err = pem_read(path, &text, why);
    if (!err)
        err = certificates_read(path, text, NULL, why);
    text_wipe(text);
    return err;
}

static enum err key_read(const char *path, const char *text, EVP_PKEY **ret, struct why *why)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    ERR_clear_error();
    *ret = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    ERR_clear_error();
    BIO_free(bio);
    if (*ret)
        return ERR_OK;
    if (strstr(text, "ENCRYPTED"))
        return why_set(why, ERR_INVALID,
                       "%s: the key in it needs a passphrase, which a service cannot ask for", path);
    return why_set(why, ERR_INVALID, "%s: holds no private key in PEM form", path);
}

static int64_t end_of(const X509 *certificate)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return 0;
    return (int64_t)timegm(&tm) * 1000000;
}

enum err certificate_pair_load(const char *certificate_path, const char *key_path,
                               struct certificate_pair *ret, struct why *why)
{
    struct certificate_pair pair = {.certificate = NULL};
    X509 *certificate = NULL;
    EVP_PKEY *key = NULL;
    enum err err = pem_read(certificate_path, &pair.certificate, why);
    if (!err)
        err = certificates_read(certificate_path, pair.certificate, &certificate, why);
    if (!err)
        err = pem_read(key_path, &pair.key, why);
    if (!err)
        err = key_read(key_path, pair.key, &key, why);
    if (!err && X509_check_private_key(certificate, key) != 1)
        err = why_set(why, ERR_INVALID, "%s: is not the key of the first certificate in %s", key_path,
                      certificate_path);
    ERR_clear_error();
    if (!err) {
        pair.ends_us = end_of(certificate);
        *ret = pair;
    } else {
        certificate_pair_done(&pair);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    return err;
}

void certificate_pair_done(struct certificate_pair *pair)
{
    free(pair->certificate);
    text_wipe(pair->key);
    *pair = (struct certificate_pair){.certificate = NULL};
}
