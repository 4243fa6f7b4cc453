/* Any text as the URL of a setting and of a gate: curl reads what is accepted as it is written. */
#include <string.h>

#include "clients/base/err.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/reconcile/pipeline/url_curl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FREE char *url = mem_dupn((const char *)data, size);
    PROMISE(!url_curl_differs(url, false));
    PROMISE(!url_curl_differs(url, true));
    return 0;
}
