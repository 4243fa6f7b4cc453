#include "tests/support/clients/http/tls_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "clients/base/err.h"

void tls_files_make(struct tls_files *ret)
{
    snprintf(ret->folder, sizeof ret->folder, "/tmp/reconciled-tls-XXXXXX");
    assert_non_null(mkdtemp(ret->folder));
    snprintf(ret->certificate, sizeof ret->certificate, "%s/certificate.pem", ret->folder);
    snprintf(ret->key, sizeof ret->key, "%s/key.pem", ret->folder);
    AUTO_FREE char *command = mem_printf("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
                                         "-nodes -days 2 -subj /CN=reconciled-test "
                                         "-addext subjectAltName=IP:127.0.0.1 -keyout %s -out %s 2>/dev/null",
                                         ret->key, ret->certificate);
    assert_int_equal(system(command), 0);
}

void tls_files_remove(const struct tls_files *files)
{
    unlink(files->certificate);
    unlink(files->key);
    rmdir(files->folder);
}
