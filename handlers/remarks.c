#include "handlers/remarks.h"

#include <string.h>

#include "clients/base/jsonx.h"
#include "clients/base/text.h"
#include "clients/store/store.h"
#include "handlers/app.h"
#include "handlers/handler.h"

/* By the database's clock. False: the request has been answered. */
static bool now_read(struct request *request, int64_t *ret_us)
{
    struct store_settings settings;
    struct why why;
    enum err err = store_settings_read(request_app(request)->store, &settings, &why);
    if (err) {
        answer_error(request, err, &why);
        return false;
    }
    *ret_us = settings.now_us;
    store_settings_done(&settings);
    return true;
}

bool remarks_read(struct request *request, unsigned rules, const char *nothing, struct remark *ret)
{
    const json_t *body = request_json(request);
    const char *name;
    json_t *value, *errors = json_array();
    int64_t now_us = 0;
    if ((rules & REMARK_MAY_END) && !now_read(request, &now_us)) {
        json_decref(errors);
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)body, name, value)
    {
        if (!remark_has(name) || (strcmp(name, "until") == 0 && !(rules & REMARK_MAY_END)))
            problem_add(errors, name, "is not known");
    }
    remark_read(body, now_us, errors, ret);
    if ((rules & REMARK_REASON_NEEDED) && !ret->reason && json_array_size(errors) == 0)
        problem_add(errors, "reason", "must be there: others will ask");
    if (json_array_size(errors) > 0) {
        answer_fields(request, 422, nothing, errors);
        return false;
    }
    json_decref(errors);
    return true;
}
