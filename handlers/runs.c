#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/text.h"
#include "handlers/app.h"
#include "handlers/query.h"
#include "handlers/handlers.h"
#include "reconcile/sweep/report_log.h"
#include "reconcile/sweep/sweeper.h"

void handle_runs_get(struct request *request)
{
    AUTO_FREE char *id = mem_dup(request_param(request)); /* a UUID in capitals is the same UUID */
    for (char *c = id; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    AUTO_FREE char *text = NULL;
    struct why why;
    enum err err =
        uuid_valid(id) ? sweeper_report(request_app(request)->sweeper, id, &text, &why) : ERR_NOT_FOUND;
    if (err == ERR_NOT_FOUND)
        answer_problem(request, 404, "there is no such pass, or its report was dropped for newer ones");
    else if (err)
        answer_error(request, err, &why);
    else
        answer_text(request, 200, "application/json", text, strlen(text));
}

void handle_runs_list(struct request *request)
{
    struct page page;
    json_t *body = NULL;
    struct why why;
    if (!page_read(request, &page))
        return;
    struct report_log *reports = sweeper_report_log(request_app(request)->sweeper);
    enum err err = report_log_page(reports, page.after, page.limit, &body, &why);
    if (err)
        answer_error(request, err, &why);
    else
        answer_json(request, 200, body);
}
