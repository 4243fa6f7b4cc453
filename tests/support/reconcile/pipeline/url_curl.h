/* url_curl.h - how curl reads a URL that settings_text.h accepts. */
#ifndef RECONCILED_TESTS_URL_CURL_H
#define RECONCILED_TESTS_URL_CURL_H

#include <stdbool.h>

/* url_curl_differs: what curl reads otherwise than it is written ("host", "port", "user or password", …) in a
 * URL that url_problem accepts. NULL when it reads the same, or when url_problem refuses the URL. */
const char *url_curl_differs(const char *url, bool is_template);

#endif
