/* PEM files that are good, and the words for those that are not. */
#include <unistd.h>

#include "clients/base/limits.h"
#include "clients/base/text.h"
#include "clients/http/certificates.h"
#include "tests/support/clients/http/tls_files.h"
#include "tests/support/test.h"

static struct tls_files mine, other;
static char made[160]; /* the path of the file that a test makes */

static int files_make(void **state)
{
    (void)state;
    tls_files_make(&mine);
    tls_files_make(&other);
    snprintf(made, sizeof made, "%s/made.pem", mine.folder);
    return 0;
}

static int files_remove(void **state)
{
    (void)state;
    unlink(made);
    tls_files_remove(&mine);
    tls_files_remove(&other);
    return 0;
}

static void make(const char *command)
{
    AUTO_FREE char *line = mem_printf("{ %s; } >%s 2>/dev/null", command, made);
    assert_int_equal(system(line), 0);
}

static void assert_no_pair(const char *certificate, const char *key, const char *error)
{
    struct certificate_pair pair = {.certificate = NULL};
    struct why why = {""};
    assert_int_equal(certificate_pair_load(certificate, key, &pair, &why), ERR_INVALID);
    assert_null(pair.certificate);
    if (!strstr(why.text, error))
        fail_msg("\"%s\" instead of \"%s\"", why.text, error);
    assert_null(strstr(why.text, "BEGIN"));
}

static void assert_no_authorities(const char *path, const char *error)
{
    struct why why = {""};
    assert_int_equal(certificates_check(path, &why), ERR_INVALID);
    assert_memory_equal(why.text, path, strlen(path));
    if (!strstr(why.text, error))
        fail_msg("\"%s\" instead of \"%s\"", why.text, error);
}

TEST(a_certificate_and_its_key_are_a_pair)
{
    struct certificate_pair pair;
    assert_int_equal(certificate_pair_load(mine.certificate, mine.key, &pair, NULL), ERR_OK);
    assert_memory_equal(pair.certificate, "-----BEGIN CERTIFICATE-----", 27);
    assert_non_null(strstr(pair.key, "PRIVATE KEY-----"));
    int64_t days = (pair.ends_us - clock_wall_us()) / 1000000 / 86400;
    assert_in_range(days, 1, 2);
    certificate_pair_done(&pair);
    certificate_pair_done(&pair);
}

TEST(a_chain_begins_with_the_certificate_of_the_key)
{
    struct certificate_pair pair;
    AUTO_FREE char *chain = mem_printf("cat %s %s", mine.certificate, other.certificate);
    make(chain);
    assert_int_equal(certificate_pair_load(made, mine.key, &pair, NULL), ERR_OK);
    certificate_pair_done(&pair);
    assert_no_pair(made, other.key, "is not the key of the first certificate");
}

TEST(one_file_may_hold_both)
{
    struct certificate_pair pair;
    AUTO_FREE char *both = mem_printf("cat %s %s", mine.key, mine.certificate);
    make(both);
    assert_int_equal(certificate_pair_load(made, made, &pair, NULL), ERR_OK);
    certificate_pair_done(&pair);
}

TEST(what_is_no_pair_is_told_in_words)
{
    assert_no_pair("/nowhere/certificate.pem", mine.key, "cannot be read: No such file or directory");
    assert_no_pair(mine.certificate, mine.folder, "cannot be read: Is a directory");
    assert_no_pair(mine.certificate, mine.certificate, "holds no private key in PEM form");
    assert_no_pair(mine.key, mine.key, "holds no certificate in PEM form");
    assert_no_pair(mine.certificate, other.key, "is not the key of the first certificate");
    AUTO_FREE char *locked = mem_printf("openssl ec -in %s -aes128 -passout pass:secret", mine.key);
    make(locked);
    assert_no_pair(mine.certificate, made, "needs a passphrase");
    AUTO_FREE char *cut = mem_printf("head -c 100 %s", mine.key);
    make(cut);
    assert_no_pair(mine.certificate, made, "holds no private key in PEM form");
}

TEST(authorities_are_one_certificate_or_more)
{
    AUTO_FREE char *two =
        mem_printf("echo of our own; cat %s; echo and theirs; cat %s", mine.certificate, other.certificate);
    assert_int_equal(certificates_check(mine.certificate, NULL), ERR_OK);
    make(two);
    assert_int_equal(certificates_check(made, NULL), ERR_OK);
}

TEST(what_is_no_list_of_authorities_is_told_in_words)
{
    assert_no_authorities("/nowhere/ca.pem", "cannot be read: No such file or directory");
    assert_no_authorities(mine.folder, "cannot be read: Is a directory");
    make("true");
    assert_no_authorities(made, "holds no certificate in PEM form");
    make("head -c 1048577 /dev/zero");
    assert_no_authorities(made, "is larger than 1024 KiB");
    assert_no_authorities("/dev/null", "cannot be read: it is no regular file");
    assert_no_authorities(mine.key, "holds no certificate in PEM form");
    make("printf 'a\\0b'");
    assert_no_authorities(made, "has a NUL byte in it");
    AUTO_FREE char *marked =
        mem_printf("printf '\\357\\273\\277'; cat %s %s", mine.certificate, other.certificate);
    make(marked);
    assert_no_authorities(made, "is no PEM file: it begins with a byte order mark");
    AUTO_FREE char *spoilt = mem_printf("cat %s; sed 's/^M/A/' %s", mine.certificate, other.certificate);
    make(spoilt);
    assert_no_authorities(made, "certificate 2 in it is malformed");
    AUTO_FREE char *cut = mem_printf("cat %s; head -c 100 %s", mine.certificate, other.certificate);
    make(cut);
    assert_no_authorities(made, "certificate 2 in it is malformed");
}

TEST_GROUP(files_make, files_remove)
