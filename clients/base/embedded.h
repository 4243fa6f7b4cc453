/* embedded.h - files of this repository that are built into the binary (see `EMBED` in the Makefile). */
#ifndef RECONCILED_BASE_EMBEDDED_H
#define RECONCILED_BASE_EMBEDDED_H

#include <stddef.h>

extern const char embedded_openapi_json[]; /* openapi/openapi.yaml as compact JSON */
extern const size_t embedded_openapi_json_len;
extern const char embedded_pipeline_json[]; /* reconcile/pipeline/pipeline.default.json */
extern const size_t embedded_pipeline_json_len;
extern const char embedded_manual[]; /* server/reconciled.8.in */
extern const size_t embedded_manual_len;

/* clients/store/pg/schema.sql and clients/store/sqlite/schema.sql */
extern const char embedded_schema_pg[], embedded_schema_sqlite[];
extern const size_t embedded_schema_pg_len, embedded_schema_sqlite_len;

#endif
