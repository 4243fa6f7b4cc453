#include "tests/support/clients/http/curl_group.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "clients/base/err.h"

int curl_begin(void **state)
{
    static const char *const proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                          "ALL_PROXY"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(proxies); i++)
        unsetenv(proxies[i]);
    return curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK;
}

int curl_end(void **state)
{
    (void)state;
    curl_global_cleanup();
    return 0;
}
