CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE capture_ids (
    id TEXT COLLATE "C" NOT NULL,
    endpoint_pk BIGINT NOT NULL,
    position BIGINT NOT NULL,
    n_rows BIGINT NOT NULL,
    CONSTRAINT capture_ids_pkey PRIMARY KEY (id, endpoint_pk)
);

CREATE TABLE event_cursors (
    reader TEXT NOT NULL,
    position BIGINT NOT NULL,
    CONSTRAINT event_cursors_pkey PRIMARY KEY (reader)
);

CREATE TABLE events (
    seq BIGSERIAL NOT NULL,
    position BIGINT,
    transaction_id BIGINT,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    project TEXT,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    payload TEXT NOT NULL,
    hash TEXT,
    CONSTRAINT events_pkey PRIMARY KEY (seq),
    CONSTRAINT events_position_key UNIQUE (position)
);

CREATE TABLE experiment_numbers (
    "only" SMALLINT NOT NULL,
    last BIGINT NOT NULL,
    CONSTRAINT experiment_numbers_pkey PRIMARY KEY ("only")
);

CREATE TABLE metric_chunks (
    run_pk BIGINT NOT NULL,
    key_pk BIGINT NOT NULL,
    first_step BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    last_step BIGINT NOT NULL,
    n_points BIGINT NOT NULL,
    data BYTEA NOT NULL,
    CONSTRAINT metric_chunks_pkey PRIMARY KEY (run_pk, key_pk, first_step, digest)
);

CREATE TABLE metric_latest (
    run_pk BIGINT NOT NULL,
    key_pk BIGINT NOT NULL,
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    is_nan SMALLINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    experiment_pk BIGINT NOT NULL,
    CONSTRAINT metric_latest_pkey PRIMARY KEY (run_pk, key_pk)
);

CREATE TABLE metric_points (
    run_pk BIGINT NOT NULL,
    key_pk BIGINT NOT NULL,
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    is_nan SMALLINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    CONSTRAINT metric_points_pkey PRIMARY KEY (run_pk, key_pk, step, at, is_nan, value)
);

CREATE TABLE model_servers (
    server TEXT NOT NULL,
    url TEXT,
    seen_at BIGINT NOT NULL,
    endpoints TEXT NOT NULL,
    n_dropped BIGINT NOT NULL,
    standing TEXT,
    CONSTRAINT model_servers_pkey PRIMARY KEY (server)
);

CREATE TABLE object_references (
    project TEXT NOT NULL,
    digest TEXT NOT NULL,
    owner TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT object_references_pkey PRIMARY KEY (project, digest, owner)
);

CREATE TABLE object_trees (
    digest TEXT NOT NULL,
    project TEXT NOT NULL,
    CONSTRAINT object_trees_pkey PRIMARY KEY (digest, project)
);

CREATE TABLE project_objects (
    digest TEXT NOT NULL,
    project TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT project_objects_pkey PRIMARY KEY (digest, project)
);

CREATE TABLE projects (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT projects_id_key UNIQUE (id),
    CONSTRAINT projects_name_key UNIQUE (name),
    CONSTRAINT projects_pkey PRIMARY KEY (pk)
);

CREATE TABLE run_counts (
    experiment_pk BIGINT NOT NULL,
    is_deleted SMALLINT NOT NULL,
    status TEXT NOT NULL,
    n_runs BIGINT NOT NULL,
    CONSTRAINT run_counts_pkey PRIMARY KEY (experiment_pk, is_deleted, status)
);

CREATE TABLE sign_in_failures (
    pk BIGSERIAL NOT NULL,
    name_hash TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT sign_in_failures_pkey PRIMARY KEY (pk)
);

CREATE TABLE text_fields (
    pk BIGSERIAL NOT NULL,
    kind SMALLINT NOT NULL,
    key_pk BIGINT NOT NULL,
    goal BIGINT NOT NULL,
    built BIGINT NOT NULL,
    CONSTRAINT text_fields_by_key UNIQUE (kind, key_pk),
    CONSTRAINT text_fields_pkey PRIMARY KEY (pk)
);

CREATE TABLE text_grams (
    field_pk BIGINT NOT NULL,
    gram TEXT COLLATE "C" NOT NULL,
    segment_pk BIGINT NOT NULL,
    n_runs BIGINT NOT NULL,
    runs BYTEA NOT NULL,
    CONSTRAINT text_grams_pkey PRIMARY KEY (field_pk, gram, segment_pk)
);

CREATE TABLE text_tail (
    run_pk BIGINT NOT NULL,
    CONSTRAINT text_tail_pkey PRIMARY KEY (run_pk)
);

CREATE TABLE tracking_keys (
    pk BIGSERIAL NOT NULL,
    key TEXT NOT NULL,
    CONSTRAINT tracking_keys_key_key UNIQUE (key),
    CONSTRAINT tracking_keys_pkey PRIMARY KEY (pk)
);

CREATE TABLE users (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    role TEXT,
    created_at BIGINT NOT NULL,
    CONSTRAINT users_id_key UNIQUE (id),
    CONSTRAINT users_name_key UNIQUE (name),
    CONSTRAINT users_pkey PRIMARY KEY (pk)
);

CREATE TABLE webhooks (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    status TEXT NOT NULL,
    description TEXT,
    sealed_secret TEXT,
    owner TEXT NOT NULL,
    projects TEXT,
    by_visitor BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT webhooks_id_key UNIQUE (id),
    CONSTRAINT webhooks_pkey PRIMARY KEY (pk)
);

CREATE TABLE alert_doubts (
    project_pk BIGINT NOT NULL,
    endpoint TEXT NOT NULL,
    kind TEXT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    CONSTRAINT alert_doubts_pkey PRIMARY KEY (project_pk, endpoint, kind),
    CONSTRAINT alert_doubts_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE alert_groups (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    cause TEXT NOT NULL,
    n_alerts BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    CONSTRAINT alert_groups_id_key UNIQUE (id),
    CONSTRAINT alert_groups_pkey PRIMARY KEY (pk),
    CONSTRAINT alert_groups_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE alert_silences (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    endpoint TEXT,
    kind TEXT,
    why TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    CONSTRAINT alert_silences_id_key UNIQUE (id),
    CONSTRAINT alert_silences_pkey PRIMARY KEY (pk),
    CONSTRAINT alert_silences_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE alerts (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    endpoint TEXT NOT NULL,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    figures TEXT NOT NULL,
    sentence TEXT NOT NULL,
    onset_position BIGINT NOT NULL,
    last_position BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    closed_why TEXT,
    since BIGINT,
    group_pk BIGINT,
    segment TEXT,
    CONSTRAINT alerts_id_key UNIQUE (id),
    CONSTRAINT alerts_pkey PRIMARY KEY (pk),
    CONSTRAINT alerts_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE batches (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    output TEXT NOT NULL,
    live TEXT NOT NULL,
    pointed TEXT,
    slots TEXT NOT NULL,
    comparison TEXT,
    rule TEXT,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    switched_at BIGINT,
    switched_by TEXT,
    reason TEXT,
    CONSTRAINT batches_by_name UNIQUE (project_pk, name),
    CONSTRAINT batches_id_key UNIQUE (id),
    CONSTRAINT batches_pkey PRIMARY KEY (pk),
    CONSTRAINT batches_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE comments (
    pk BIGSERIAL NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    project_pk BIGINT NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    edited_at BIGINT,
    deleted_at BIGINT,
    CONSTRAINT comments_id_key UNIQUE (id),
    CONSTRAINT comments_pkey PRIMARY KEY (pk),
    CONSTRAINT comments_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE datasets (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    name TEXT NOT NULL,
    latest BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_number BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT datasets_by_name UNIQUE (project_pk, name),
    CONSTRAINT datasets_id_key UNIQUE (id),
    CONSTRAINT datasets_pkey PRIMARY KEY (pk),
    CONSTRAINT datasets_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE decision_records (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    key TEXT,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    closed_at BIGINT,
    CONSTRAINT decision_records_by_key UNIQUE (project_pk, key),
    CONSTRAINT decision_records_id_key UNIQUE (id),
    CONSTRAINT decision_records_pkey PRIMARY KEY (pk),
    CONSTRAINT decision_records_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE decisions (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    endpoint TEXT NOT NULL,
    status TEXT NOT NULL,
    alert_id TEXT,
    open_endpoint TEXT,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT decisions_alert_id_key UNIQUE (alert_id),
    CONSTRAINT decisions_id_key UNIQUE (id),
    CONSTRAINT decisions_open UNIQUE (project_pk, open_endpoint),
    CONSTRAINT decisions_pkey PRIMARY KEY (pk),
    CONSTRAINT decisions_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE endpoints (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    task TEXT NOT NULL,
    shares TEXT NOT NULL,
    digests TEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT,
    shadows TEXT,
    warm TEXT,
    cascade TEXT,
    CONSTRAINT endpoints_id_key UNIQUE (id),
    CONSTRAINT endpoints_pkey PRIMARY KEY (pk),
    CONSTRAINT endpoints_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE evaluation_datasets (
    pk BIGSERIAL NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    project_pk BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    digest TEXT NOT NULL,
    schema TEXT,
    n_records BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    created_by TEXT COLLATE "C",
    updated_by TEXT COLLATE "C",
    CONSTRAINT evaluation_datasets_id_key UNIQUE (id),
    CONSTRAINT evaluation_datasets_pkey PRIMARY KEY (pk),
    CONSTRAINT evaluation_datasets_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE experiments (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT DEFAULT 0 NOT NULL,
    deleted_at BIGINT,
    artifact_location TEXT,
    CONSTRAINT experiments_by_name UNIQUE (project_pk, name),
    CONSTRAINT experiments_id_key UNIQUE (id),
    CONSTRAINT experiments_number_key UNIQUE (number),
    CONSTRAINT experiments_pkey PRIMARY KEY (pk),
    CONSTRAINT experiments_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE jobs (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    entry TEXT NOT NULL,
    args TEXT NOT NULL,
    snapshot TEXT,
    status TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    timeout_s DOUBLE PRECISION NOT NULL,
    lease_until BIGINT,
    claimed_by TEXT,
    result TEXT,
    error TEXT,
    created_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    key TEXT,
    submitted_by TEXT NOT NULL,
    role TEXT NOT NULL,
    permissions TEXT NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    routine BOOLEAN NOT NULL,
    queue TEXT DEFAULT 'default'::text NOT NULL,
    CONSTRAINT jobs_by_key UNIQUE (project_pk, key),
    CONSTRAINT jobs_id_key UNIQUE (id),
    CONSTRAINT jobs_pkey PRIMARY KEY (pk),
    CONSTRAINT jobs_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk),
    CONSTRAINT jobs_status CHECK (status = ANY (ARRAY['queued'::text, 'running'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text]))
);

CREATE TABLE latest_steps (
    project_pk BIGINT NOT NULL,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    occurrence BIGINT NOT NULL,
    run_id TEXT NOT NULL,
    parts TEXT NOT NULL,
    CONSTRAINT latest_steps_pkey PRIMARY KEY (project_pk, pipeline, step, occurrence),
    CONSTRAINT latest_steps_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE loose_artifacts (
    project_pk BIGINT NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    digest TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT loose_artifacts_pkey PRIMARY KEY (project_pk, path),
    CONSTRAINT loose_artifacts_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE models (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    latest BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_number BIGINT DEFAULT '0'::bigint NOT NULL,
    updated_at BIGINT DEFAULT '0'::bigint NOT NULL,
    description TEXT,
    author TEXT,
    deleted_at BIGINT,
    CONSTRAINT models_by_name UNIQUE (project_pk, name),
    CONSTRAINT models_id_key UNIQUE (id),
    CONSTRAINT models_pkey PRIMARY KEY (pk),
    CONSTRAINT models_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE monitors (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    endpoint TEXT NOT NULL,
    position BIGINT NOT NULL,
    label_position BIGINT NOT NULL,
    version BIGINT NOT NULL,
    n_windows BIGINT NOT NULL,
    detector TEXT,
    quality TEXT,
    created_at BIGINT NOT NULL,
    looked_at BIGINT,
    cutting TEXT,
    CONSTRAINT monitors_by_endpoint UNIQUE (project_pk, endpoint),
    CONSTRAINT monitors_id_key UNIQUE (id),
    CONSTRAINT monitors_pkey PRIMARY KEY (pk),
    CONSTRAINT monitors_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE pickle_consents (
    project_pk BIGINT NOT NULL,
    digest TEXT NOT NULL,
    ref TEXT NOT NULL,
    given_by TEXT NOT NULL,
    given_at BIGINT NOT NULL,
    CONSTRAINT pickle_consents_pkey PRIMARY KEY (project_pk, digest),
    CONSTRAINT pickle_consents_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE pipeline_runs (
    pk BIGSERIAL NOT NULL,
    run_id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    pipeline TEXT NOT NULL,
    snapshot TEXT,
    environment TEXT,
    lease_until BIGINT,
    outputs TEXT NOT NULL,
    error TEXT,
    n_steps BIGINT NOT NULL,
    n_reused BIGINT NOT NULL,
    n_failed BIGINT NOT NULL,
    CONSTRAINT pipeline_runs_pkey PRIMARY KEY (pk),
    CONSTRAINT pipeline_runs_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk),
    CONSTRAINT pipeline_runs_run_id_key UNIQUE (run_id)
);

CREATE TABLE project_roles (
    user_pk BIGINT NOT NULL,
    project_pk BIGINT NOT NULL,
    role TEXT NOT NULL,
    CONSTRAINT project_roles_pkey PRIMARY KEY (user_pk, project_pk),
    CONSTRAINT project_roles_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk) ON DELETE CASCADE,
    CONSTRAINT project_roles_user_pk_fkey FOREIGN KEY(user_pk) REFERENCES users (pk) ON DELETE CASCADE
);

CREATE TABLE schedules (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    snapshot TEXT,
    status TEXT NOT NULL,
    applied_by TEXT NOT NULL,
    role TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    next_start BIGINT,
    next_due BIGINT,
    since_position BIGINT NOT NULL,
    salt TEXT NOT NULL,
    failing_since BIGINT,
    n_failures BIGINT NOT NULL,
    revision BIGINT DEFAULT '1'::bigint NOT NULL,
    newest BIGINT DEFAULT '1'::bigint NOT NULL,
    pin TEXT,
    CONSTRAINT schedules_by_name UNIQUE (project_pk, name),
    CONSTRAINT schedules_id_key UNIQUE (id),
    CONSTRAINT schedules_pkey PRIMARY KEY (pk),
    CONSTRAINT schedules_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk),
    CONSTRAINT schedules_status CHECK (status = ANY (ARRAY['active'::text, 'paused'::text, 'removed'::text]))
);

CREATE TABLE sessions (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    user_pk BIGINT,
    browser TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT sessions_id_key UNIQUE (id),
    CONSTRAINT sessions_pkey PRIMARY KEY (pk),
    CONSTRAINT sessions_secret_hash_key UNIQUE (secret_hash),
    CONSTRAINT sessions_user_pk_fkey FOREIGN KEY(user_pk) REFERENCES users (pk) ON DELETE CASCADE
);

CREATE TABLE step_cache (
    pk BIGSERIAL NOT NULL,
    project_pk BIGINT NOT NULL,
    key TEXT NOT NULL,
    writer TEXT NOT NULL,
    step TEXT NOT NULL,
    run_id TEXT NOT NULL,
    outputs TEXT NOT NULL,
    followed TEXT NOT NULL,
    files TEXT NOT NULL,
    inputs TEXT NOT NULL,
    made TEXT NOT NULL,
    logged TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT step_cache_by_key UNIQUE (project_pk, key, writer),
    CONSTRAINT step_cache_pkey PRIMARY KEY (pk),
    CONSTRAINT step_cache_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE text_segments (
    pk BIGSERIAL NOT NULL,
    field_pk BIGINT NOT NULL,
    n_runs BIGINT NOT NULL,
    CONSTRAINT text_segments_field_pk_fkey FOREIGN KEY(field_pk) REFERENCES text_fields (pk),
    CONSTRAINT text_segments_pkey PRIMARY KEY (pk)
);

CREATE TABLE tokens (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    user_pk BIGINT,
    project_pk BIGINT,
    role TEXT NOT NULL,
    permissions TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT tokens_id_key UNIQUE (id),
    CONSTRAINT tokens_pkey PRIMARY KEY (pk),
    CONSTRAINT tokens_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk) ON DELETE CASCADE,
    CONSTRAINT tokens_secret_hash_key UNIQUE (secret_hash),
    CONSTRAINT tokens_user_pk_fkey FOREIGN KEY(user_pk) REFERENCES users (pk) ON DELETE CASCADE
);

CREATE TABLE webhook_deliveries (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    webhook_pk BIGINT NOT NULL,
    position BIGINT NOT NULL,
    event TEXT NOT NULL,
    subject TEXT NOT NULL,
    status TEXT NOT NULL,
    n_attempts BIGINT NOT NULL,
    response_status BIGINT,
    error TEXT,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    ended_at BIGINT,
    CONSTRAINT webhook_deliveries_by_event UNIQUE (webhook_pk, position),
    CONSTRAINT webhook_deliveries_id_key UNIQUE (id),
    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (pk),
    CONSTRAINT webhook_deliveries_webhook_pk_fkey FOREIGN KEY(webhook_pk) REFERENCES webhooks (pk) ON DELETE CASCADE
);

CREATE TABLE alert_notices (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    group_pk BIGINT NOT NULL,
    receiver TEXT NOT NULL,
    kind TEXT NOT NULL,
    n_alerts BIGINT NOT NULL,
    alert_ids TEXT NOT NULL,
    subject TEXT NOT NULL,
    told TEXT NOT NULL,
    status TEXT NOT NULL,
    n_attempts BIGINT NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    ended_at BIGINT,
    CONSTRAINT alert_notices_group_pk_fkey FOREIGN KEY(group_pk) REFERENCES alert_groups (pk),
    CONSTRAINT alert_notices_id_key UNIQUE (id),
    CONSTRAINT alert_notices_once UNIQUE (group_pk, receiver, kind, n_alerts),
    CONSTRAINT alert_notices_pkey PRIMARY KEY (pk)
);

CREATE TABLE batch_runs (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    batch_pk BIGINT,
    slot TEXT,
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    identity TEXT NOT NULL,
    once TEXT,
    status TEXT NOT NULL,
    input TEXT NOT NULL,
    input_digest TEXT,
    output TEXT NOT NULL,
    options TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    n_rows BIGINT,
    n_done BIGINT NOT NULL,
    n_unfit BIGINT NOT NULL,
    n_duplicates BIGINT,
    chunk_rows BIGINT,
    n_workers BIGINT NOT NULL,
    engine TEXT,
    predict_s DOUBLE PRECISION,
    written TEXT,
    error TEXT,
    started_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at BIGINT,
    CONSTRAINT batch_runs_batch_pk_fkey FOREIGN KEY(batch_pk) REFERENCES batches (pk),
    CONSTRAINT batch_runs_id_key UNIQUE (id),
    CONSTRAINT batch_runs_once UNIQUE (project_pk, once),
    CONSTRAINT batch_runs_pkey PRIMARY KEY (pk),
    CONSTRAINT batch_runs_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE capture_chunks (
    endpoint_pk BIGINT NOT NULL,
    last_position BIGINT NOT NULL,
    first_position BIGINT NOT NULL,
    n_rows BIGINT NOT NULL,
    oldest_version BIGINT NOT NULL,
    newest_version BIGINT NOT NULL,
    heads BYTEA NOT NULL,
    data BYTEA NOT NULL,
    n_others BIGINT DEFAULT '0'::bigint NOT NULL,
    CONSTRAINT capture_chunks_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT capture_chunks_pkey PRIMARY KEY (endpoint_pk, last_position)
);

CREATE TABLE capture_counts (
    endpoint_pk BIGINT NOT NULL,
    version BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    n_requests BIGINT NOT NULL,
    n_rows BIGINT NOT NULL,
    n_errors BIGINT NOT NULL,
    latency_sum_us DOUBLE PRECISION NOT NULL,
    latency_sum_squares DOUBLE PRECISION NOT NULL,
    latency_buckets TEXT NOT NULL,
    n_labelled BIGINT NOT NULL,
    n_judged BIGINT NOT NULL,
    n_correct BIGINT NOT NULL,
    n_measured BIGINT NOT NULL,
    abs_error_sum DOUBLE PRECISION NOT NULL,
    abs_error_sum_squares DOUBLE PRECISION NOT NULL,
    sums TEXT,
    CONSTRAINT capture_counts_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT capture_counts_pkey PRIMARY KEY (endpoint_pk, version, revision)
);

CREATE TABLE dataset_tags (
    dataset_pk BIGINT NOT NULL,
    tag TEXT NOT NULL,
    version BIGINT NOT NULL,
    author TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT dataset_tags_dataset_pk_fkey FOREIGN KEY(dataset_pk) REFERENCES datasets (pk),
    CONSTRAINT dataset_tags_pkey PRIMARY KEY (dataset_pk, tag)
);

CREATE TABLE dataset_versions (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    dataset_pk BIGINT NOT NULL,
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    kind TEXT NOT NULL,
    author TEXT NOT NULL,
    message TEXT NOT NULL,
    parent BIGINT,
    n_files BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    n_rows BIGINT,
    profile TEXT,
    created_at BIGINT NOT NULL,
    CONSTRAINT dataset_versions_by_version UNIQUE (dataset_pk, version),
    CONSTRAINT dataset_versions_dataset_pk_fkey FOREIGN KEY(dataset_pk) REFERENCES datasets (pk),
    CONSTRAINT dataset_versions_id_key UNIQUE (id),
    CONSTRAINT dataset_versions_pkey PRIMARY KEY (pk)
);

CREATE TABLE endpoint_keys (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    endpoint_pk BIGINT NOT NULL,
    name TEXT NOT NULL,
    shown TEXT NOT NULL,
    hash TEXT NOT NULL,
    rate_per_s DOUBLE PRECISION,
    burst BIGINT,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT,
    CONSTRAINT endpoint_keys_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT endpoint_keys_id_key UNIQUE (id),
    CONSTRAINT endpoint_keys_pkey PRIMARY KEY (pk)
);

CREATE TABLE endpoint_logs (
    endpoint_pk BIGINT NOT NULL,
    starts_at BIGINT NOT NULL,
    n_warnings BIGINT NOT NULL,
    n_errors BIGINT NOT NULL,
    line TEXT,
    CONSTRAINT endpoint_logs_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT endpoint_logs_pkey PRIMARY KEY (endpoint_pk, starts_at)
);

CREATE TABLE endpoint_options (
    endpoint_pk BIGINT NOT NULL,
    guarded BOOLEAN NOT NULL,
    capture_share DOUBLE PRECISION NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT endpoint_options_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT endpoint_options_pkey PRIMARY KEY (endpoint_pk)
);

CREATE TABLE evaluation_dataset_experiments (
    dataset_pk BIGINT NOT NULL,
    experiment_pk BIGINT NOT NULL,
    CONSTRAINT evaluation_dataset_experiments_dataset_pk_fkey FOREIGN KEY(dataset_pk) REFERENCES evaluation_datasets (pk) ON DELETE CASCADE,
    CONSTRAINT evaluation_dataset_experiments_experiment_pk_fkey FOREIGN KEY(experiment_pk) REFERENCES experiments (pk) ON DELETE CASCADE,
    CONSTRAINT evaluation_dataset_experiments_pkey PRIMARY KEY (dataset_pk, experiment_pk)
);

CREATE TABLE evaluation_dataset_tags (
    dataset_pk BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    CONSTRAINT evaluation_dataset_tags_dataset_pk_fkey FOREIGN KEY(dataset_pk) REFERENCES evaluation_datasets (pk) ON DELETE CASCADE,
    CONSTRAINT evaluation_dataset_tags_pkey PRIMARY KEY (dataset_pk, key)
);

CREATE TABLE evaluation_records (
    pk BIGSERIAL NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    dataset_pk BIGINT NOT NULL,
    input_digest TEXT NOT NULL,
    inputs TEXT NOT NULL,
    outputs TEXT,
    expectations TEXT,
    tags TEXT,
    source TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    created_by TEXT,
    updated_by TEXT,
    CONSTRAINT evaluation_records_by_input UNIQUE (dataset_pk, input_digest),
    CONSTRAINT evaluation_records_dataset_pk_fkey FOREIGN KEY(dataset_pk) REFERENCES evaluation_datasets (pk) ON DELETE CASCADE,
    CONSTRAINT evaluation_records_id_key UNIQUE (id),
    CONSTRAINT evaluation_records_pkey PRIMARY KEY (pk)
);

CREATE TABLE experiment_tags (
    experiment_pk BIGINT NOT NULL,
    key_pk BIGINT NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    CONSTRAINT experiment_tags_experiment_pk_fkey FOREIGN KEY(experiment_pk) REFERENCES experiments (pk),
    CONSTRAINT experiment_tags_key_pk_fkey FOREIGN KEY(key_pk) REFERENCES tracking_keys (pk),
    CONSTRAINT experiment_tags_pkey PRIMARY KEY (experiment_pk, key_pk)
);

CREATE TABLE former_model_names (
    project_pk BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    model_pk BIGINT NOT NULL,
    CONSTRAINT former_model_names_model_pk_fkey FOREIGN KEY(model_pk) REFERENCES models (pk),
    CONSTRAINT former_model_names_pkey PRIMARY KEY (project_pk, name),
    CONSTRAINT former_model_names_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE input_repairs (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    endpoint_pk BIGINT NOT NULL,
    number BIGINT NOT NULL,
    columns TEXT NOT NULL,
    reason TEXT NOT NULL,
    decision_id TEXT,
    started_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    position BIGINT NOT NULL,
    ended_at BIGINT,
    ended_by TEXT,
    ended_revision BIGINT,
    ended_why TEXT,
    CONSTRAINT input_repairs_by_endpoint UNIQUE (endpoint_pk, number),
    CONSTRAINT input_repairs_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT input_repairs_id_key UNIQUE (id),
    CONSTRAINT input_repairs_pkey PRIMARY KEY (pk)
);

CREATE TABLE job_logs (
    job_pk BIGINT NOT NULL,
    line BIGINT NOT NULL,
    at BIGINT NOT NULL,
    stream TEXT NOT NULL,
    text TEXT NOT NULL,
    CONSTRAINT job_logs_job_pk_fkey FOREIGN KEY(job_pk) REFERENCES jobs (pk),
    CONSTRAINT job_logs_pkey PRIMARY KEY (job_pk, line)
);

CREATE TABLE label_history (
    pk BIGSERIAL NOT NULL,
    endpoint_pk BIGINT NOT NULL,
    position BIGINT NOT NULL,
    value TEXT NOT NULL,
    source TEXT,
    trust TEXT NOT NULL,
    outcome TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT label_history_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT label_history_pkey PRIMARY KEY (pk)
);

CREATE TABLE label_schemas (
    pk BIGSERIAL NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    experiment_pk BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    type TEXT NOT NULL,
    input TEXT NOT NULL,
    instruction TEXT,
    enable_comment BOOLEAN NOT NULL,
    is_default BOOLEAN NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    CONSTRAINT label_schemas_by_name UNIQUE (experiment_pk, name),
    CONSTRAINT label_schemas_experiment_pk_fkey FOREIGN KEY(experiment_pk) REFERENCES experiments (pk) ON DELETE CASCADE,
    CONSTRAINT label_schemas_id_key UNIQUE (id),
    CONSTRAINT label_schemas_pkey PRIMARY KEY (pk),
    CONSTRAINT label_schemas_type CHECK (type = ANY (ARRAY['feedback'::text, 'expectation'::text]))
);

CREATE TABLE labels (
    pk BIGSERIAL NOT NULL,
    position BIGINT NOT NULL,
    endpoint_pk BIGINT NOT NULL,
    value TEXT NOT NULL,
    at BIGINT NOT NULL,
    source TEXT,
    n_contradictions BIGINT NOT NULL,
    trust TEXT,
    client TEXT,
    received_at BIGINT,
    n_corrections BIGINT DEFAULT '0'::bigint NOT NULL,
    CONSTRAINT labels_by_row UNIQUE (endpoint_pk, position),
    CONSTRAINT labels_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT labels_pkey PRIMARY KEY (pk)
);

CREATE TABLE logged_models (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    experiment_pk BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    status TEXT NOT NULL,
    status_message TEXT COLLATE "C" NOT NULL,
    model_type TEXT COLLATE "C" NOT NULL,
    source_run TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    CONSTRAINT logged_models_experiment_pk_fkey FOREIGN KEY(experiment_pk) REFERENCES experiments (pk),
    CONSTRAINT logged_models_id_key UNIQUE (id),
    CONSTRAINT logged_models_pkey PRIMARY KEY (pk),
    CONSTRAINT logged_models_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk),
    CONSTRAINT logged_models_status CHECK (status = ANY (ARRAY['unspecified'::text, 'pending'::text, 'ready'::text, 'failed'::text]))
);

CREATE TABLE model_aliases (
    model_pk BIGINT NOT NULL,
    alias TEXT NOT NULL,
    version BIGINT NOT NULL,
    moved_at BIGINT NOT NULL,
    CONSTRAINT model_aliases_model_pk_fkey FOREIGN KEY(model_pk) REFERENCES models (pk),
    CONSTRAINT model_aliases_pkey PRIMARY KEY (model_pk, alias)
);

CREATE TABLE model_tags (
    model_pk BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    CONSTRAINT model_tags_model_pk_fkey FOREIGN KEY(model_pk) REFERENCES models (pk),
    CONSTRAINT model_tags_pkey PRIMARY KEY (model_pk, key)
);

CREATE TABLE model_versions (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    model_pk BIGINT NOT NULL,
    version BIGINT NOT NULL,
    digest TEXT,
    format TEXT,
    task TEXT,
    signature TEXT,
    classes TEXT,
    holdout TEXT,
    metrics TEXT NOT NULL,
    origin TEXT NOT NULL,
    message TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    description TEXT,
    stage TEXT NOT NULL,
    source TEXT,
    location TEXT,
    artifacts TEXT,
    run_id TEXT,
    run_link TEXT,
    model_id TEXT,
    flavor TEXT,
    pickled BOOLEAN NOT NULL,
    registered_as TEXT NOT NULL,
    deleted_at BIGINT,
    CONSTRAINT model_versions_by_version UNIQUE (model_pk, version),
    CONSTRAINT model_versions_id_key UNIQUE (id),
    CONSTRAINT model_versions_model_pk_fkey FOREIGN KEY(model_pk) REFERENCES models (pk),
    CONSTRAINT model_versions_pkey PRIMARY KEY (pk)
);

CREATE TABLE monitor_counts (
    monitor_pk BIGINT NOT NULL,
    index BIGINT NOT NULL,
    version BIGINT NOT NULL,
    segment TEXT NOT NULL,
    body BYTEA NOT NULL,
    CONSTRAINT monitor_counts_monitor_pk_fkey FOREIGN KEY(monitor_pk) REFERENCES monitors (pk),
    CONSTRAINT monitor_counts_pkey PRIMARY KEY (monitor_pk, index, version, segment)
);

CREATE TABLE monitor_estimate_points (
    monitor_pk BIGINT NOT NULL,
    position BIGINT NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT monitor_estimate_points_monitor_pk_fkey FOREIGN KEY(monitor_pk) REFERENCES monitors (pk),
    CONSTRAINT monitor_estimate_points_pkey PRIMARY KEY (monitor_pk, position)
);

CREATE TABLE monitor_estimates (
    monitor_pk BIGINT NOT NULL,
    position BIGINT NOT NULL,
    body TEXT NOT NULL,
    label_position BIGINT DEFAULT '0'::bigint NOT NULL,
    CONSTRAINT monitor_estimates_monitor_pk_fkey FOREIGN KEY(monitor_pk) REFERENCES monitors (pk),
    CONSTRAINT monitor_estimates_pkey PRIMARY KEY (monitor_pk)
);

CREATE TABLE monitor_history (
    monitor_pk BIGINT NOT NULL,
    version BIGINT NOT NULL,
    hour BIGINT NOT NULL,
    psi TEXT NOT NULL,
    CONSTRAINT monitor_history_monitor_pk_fkey FOREIGN KEY(monitor_pk) REFERENCES monitors (pk),
    CONSTRAINT monitor_history_pkey PRIMARY KEY (monitor_pk, version, hour)
);

CREATE TABLE monitor_label_delays (
    monitor_pk BIGINT NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT monitor_label_delays_monitor_pk_fkey FOREIGN KEY(monitor_pk) REFERENCES monitors (pk),
    CONSTRAINT monitor_label_delays_pkey PRIMARY KEY (monitor_pk)
);

CREATE TABLE monitor_segments (
    monitor_pk BIGINT NOT NULL,
    version BIGINT NOT NULL,
    segment TEXT NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT monitor_segments_monitor_pk_fkey FOREIGN KEY(monitor_pk) REFERENCES monitors (pk),
    CONSTRAINT monitor_segments_pkey PRIMARY KEY (monitor_pk, version, segment)
);

CREATE TABLE monitor_windows (
    monitor_pk BIGINT NOT NULL,
    index BIGINT NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT monitor_windows_monitor_pk_fkey FOREIGN KEY(monitor_pk) REFERENCES monitors (pk),
    CONSTRAINT monitor_windows_pkey PRIMARY KEY (monitor_pk, index)
);

CREATE TABLE pair_counts (
    endpoint_pk BIGINT NOT NULL,
    version BIGINT NOT NULL,
    against BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    stats TEXT NOT NULL,
    CONSTRAINT pair_counts_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT pair_counts_pkey PRIMARY KEY (endpoint_pk, version, against, revision)
);

CREATE TABLE review_queues (
    pk BIGSERIAL NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    experiment_pk BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    type TEXT NOT NULL,
    created_by TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    CONSTRAINT review_queues_by_name UNIQUE (experiment_pk, name_key),
    CONSTRAINT review_queues_experiment_pk_fkey FOREIGN KEY(experiment_pk) REFERENCES experiments (pk) ON DELETE CASCADE,
    CONSTRAINT review_queues_id_key UNIQUE (id),
    CONSTRAINT review_queues_pkey PRIMARY KEY (pk),
    CONSTRAINT review_queues_type CHECK (type = ANY (ARRAY['user'::text, 'custom'::text]))
);

CREATE TABLE rollouts (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    endpoint_pk BIGINT NOT NULL,
    strategy TEXT NOT NULL,
    from_version BIGINT,
    to_version BIGINT NOT NULL,
    steps TEXT NOT NULL,
    step BIGINT NOT NULL,
    status TEXT NOT NULL,
    gates TEXT NOT NULL,
    patience_s DOUBLE PRECISION,
    history TEXT NOT NULL,
    reason TEXT,
    decision_id TEXT,
    alias TEXT,
    started_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    step_started_at BIGINT,
    ended_at BIGINT,
    first_endpoint_revision BIGINT NOT NULL,
    step_endpoint_revision BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    promotes BOOLEAN,
    approvals TEXT,
    approved TEXT,
    keep_warm_s DOUBLE PRECISION,
    is_rollback BOOLEAN,
    baked_s DOUBLE PRECISION,
    looked_at BIGINT,
    CONSTRAINT rollouts_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT rollouts_id_key UNIQUE (id),
    CONSTRAINT rollouts_pkey PRIMARY KEY (pk)
);

CREATE TABLE run_datasets (
    pk BIGSERIAL NOT NULL,
    experiment_pk BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    source_type TEXT NOT NULL,
    source TEXT NOT NULL,
    schema TEXT,
    profile TEXT,
    CONSTRAINT run_datasets_by_name UNIQUE (experiment_pk, name, digest),
    CONSTRAINT run_datasets_experiment_pk_fkey FOREIGN KEY(experiment_pk) REFERENCES experiments (pk),
    CONSTRAINT run_datasets_pkey PRIMARY KEY (pk)
);

CREATE TABLE runs (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    experiment_pk BIGINT NOT NULL,
    parent_pk BIGINT,
    name TEXT COLLATE "C" NOT NULL,
    status TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    author TEXT COLLATE "C" NOT NULL,
    source TEXT,
    deleted_at BIGINT,
    CONSTRAINT runs_experiment_pk_fkey FOREIGN KEY(experiment_pk) REFERENCES experiments (pk),
    CONSTRAINT runs_id_key UNIQUE (id),
    CONSTRAINT runs_parent_pk_fkey FOREIGN KEY(parent_pk) REFERENCES runs (pk),
    CONSTRAINT runs_pkey PRIMARY KEY (pk),
    CONSTRAINT runs_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk),
    CONSTRAINT runs_status CHECK (status = ANY (ARRAY['running'::text, 'finished'::text, 'failed'::text, 'killed'::text, 'scheduled'::text]))
);

CREATE TABLE schedule_backfills (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    schedule_pk BIGINT NOT NULL,
    start BIGINT NOT NULL,
    "end" BIGINT NOT NULL,
    at_once BIGINT NOT NULL,
    requested_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    stopped_at BIGINT,
    CONSTRAINT schedule_backfills_id_key UNIQUE (id),
    CONSTRAINT schedule_backfills_pkey PRIMARY KEY (pk),
    CONSTRAINT schedule_backfills_schedule_pk_fkey FOREIGN KEY(schedule_pk) REFERENCES schedules (pk)
);

CREATE TABLE schedule_revisions (
    pk BIGSERIAL NOT NULL,
    schedule_pk BIGINT NOT NULL,
    number BIGINT NOT NULL,
    spec TEXT NOT NULL,
    snapshot TEXT,
    applied_by TEXT NOT NULL,
    role TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    CONSTRAINT schedule_revisions_by_number UNIQUE (schedule_pk, number),
    CONSTRAINT schedule_revisions_pkey PRIMARY KEY (pk),
    CONSTRAINT schedule_revisions_schedule_pk_fkey FOREIGN KEY(schedule_pk) REFERENCES schedules (pk)
);

CREATE TABLE scorers (
    pk BIGSERIAL NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    experiment_pk BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    CONSTRAINT scorers_by_name UNIQUE (experiment_pk, name),
    CONSTRAINT scorers_experiment_pk_fkey FOREIGN KEY(experiment_pk) REFERENCES experiments (pk) ON DELETE CASCADE,
    CONSTRAINT scorers_id_key UNIQUE (id),
    CONSTRAINT scorers_pkey PRIMARY KEY (pk)
);

CREATE TABLE step_runs (
    run_pk BIGINT NOT NULL,
    position BIGINT NOT NULL,
    step TEXT NOT NULL,
    name TEXT NOT NULL,
    occurrence BIGINT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    key TEXT,
    attempts BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    outputs TEXT NOT NULL,
    error TEXT,
    sources TEXT DEFAULT '[]'::text NOT NULL,
    declared TEXT DEFAULT '{}'::text NOT NULL,
    within TEXT DEFAULT ''::text NOT NULL,
    item BIGINT,
    CONSTRAINT step_runs_pkey PRIMARY KEY (run_pk, position),
    CONSTRAINT step_runs_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES pipeline_runs (pk),
    CONSTRAINT step_runs_status CHECK (status = ANY (ARRAY['finished'::text, 'failed'::text, 'reused'::text]))
);

CREATE TABLE traces (
    pk BIGSERIAL NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    experiment_pk BIGINT NOT NULL,
    name TEXT COLLATE "C",
    state TEXT NOT NULL,
    started_ms BIGINT NOT NULL,
    duration_ms BIGINT,
    client_request_id TEXT COLLATE "C",
    session TEXT COLLATE "C",
    request TEXT,
    response TEXT,
    is_final SMALLINT NOT NULL,
    n_spans BIGINT NOT NULL,
    input_tokens BIGINT,
    output_tokens BIGINT,
    total_tokens BIGINT,
    cache_read_input_tokens BIGINT,
    cache_creation_input_tokens BIGINT,
    cache_creation_input_tokens_above_1hr BIGINT,
    input_cost DOUBLE PRECISION,
    output_cost DOUBLE PRECISION,
    total_cost DOUBLE PRECISION,
    CONSTRAINT traces_experiment_pk_fkey FOREIGN KEY(experiment_pk) REFERENCES experiments (pk) ON DELETE CASCADE,
    CONSTRAINT traces_id_key UNIQUE (id),
    CONSTRAINT traces_pkey PRIMARY KEY (pk),
    CONSTRAINT traces_state CHECK (state = ANY (ARRAY['STATE_UNSPECIFIED'::text, 'OK'::text, 'ERROR'::text, 'IN_PROGRESS'::text]))
);

CREATE TABLE dataset_reports (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    version_pk BIGINT NOT NULL,
    kind TEXT NOT NULL,
    against TEXT,
    passed BOOLEAN,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    report TEXT NOT NULL,
    CONSTRAINT dataset_reports_id_key UNIQUE (id),
    CONSTRAINT dataset_reports_kind CHECK (kind = ANY (ARRAY['check'::text, 'diff'::text])),
    CONSTRAINT dataset_reports_pkey PRIMARY KEY (pk),
    CONSTRAINT dataset_reports_version_pk_fkey FOREIGN KEY(version_pk) REFERENCES dataset_versions (pk) ON DELETE CASCADE
);

CREATE TABLE issues (
    pk BIGSERIAL NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    experiment_pk BIGINT NOT NULL,
    source_run_pk BIGINT,
    name TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    severity SMALLINT NOT NULL,
    root_causes TEXT NOT NULL,
    categories TEXT NOT NULL,
    created_by TEXT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    seen_ms BIGINT,
    updated_by TEXT,
    metadata TEXT,
    CONSTRAINT issues_experiment_pk_fkey FOREIGN KEY(experiment_pk) REFERENCES experiments (pk) ON DELETE CASCADE,
    CONSTRAINT issues_id_key UNIQUE (id),
    CONSTRAINT issues_pkey PRIMARY KEY (pk),
    CONSTRAINT issues_severity CHECK (severity >= 0 AND severity <= 4),
    CONSTRAINT issues_source_run_pk_fkey FOREIGN KEY(source_run_pk) REFERENCES runs (pk) ON DELETE SET NULL,
    CONSTRAINT issues_status CHECK (status = ANY (ARRAY['pending'::text, 'rejected'::text, 'resolved'::text]))
);

CREATE TABLE logged_model_artifacts (
    model_pk BIGINT NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    digest TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT logged_model_artifacts_model_pk_fkey FOREIGN KEY(model_pk) REFERENCES logged_models (pk),
    CONSTRAINT logged_model_artifacts_pkey PRIMARY KEY (model_pk, path)
);

CREATE TABLE logged_model_metrics (
    model_pk BIGINT NOT NULL,
    key_pk BIGINT NOT NULL,
    run_pk BIGINT NOT NULL,
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    dataset_name TEXT COLLATE "C" NOT NULL,
    dataset_digest TEXT COLLATE "C" NOT NULL,
    is_nan SMALLINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    CONSTRAINT logged_model_metrics_key_pk_fkey FOREIGN KEY(key_pk) REFERENCES tracking_keys (pk),
    CONSTRAINT logged_model_metrics_model_pk_fkey FOREIGN KEY(model_pk) REFERENCES logged_models (pk),
    CONSTRAINT logged_model_metrics_pkey PRIMARY KEY (model_pk, key_pk, run_pk, step, at, dataset_name, dataset_digest),
    CONSTRAINT logged_model_metrics_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES runs (pk)
);

CREATE TABLE logged_model_params (
    model_pk BIGINT NOT NULL,
    key_pk BIGINT NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    CONSTRAINT logged_model_params_key_pk_fkey FOREIGN KEY(key_pk) REFERENCES tracking_keys (pk),
    CONSTRAINT logged_model_params_model_pk_fkey FOREIGN KEY(model_pk) REFERENCES logged_models (pk),
    CONSTRAINT logged_model_params_pkey PRIMARY KEY (model_pk, key_pk)
);

CREATE TABLE logged_model_tags (
    model_pk BIGINT NOT NULL,
    key_pk BIGINT NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    CONSTRAINT logged_model_tags_key_pk_fkey FOREIGN KEY(key_pk) REFERENCES tracking_keys (pk),
    CONSTRAINT logged_model_tags_model_pk_fkey FOREIGN KEY(model_pk) REFERENCES logged_models (pk),
    CONSTRAINT logged_model_tags_pkey PRIMARY KEY (model_pk, key_pk)
);

CREATE TABLE model_approvals (
    version_pk BIGINT NOT NULL,
    alias TEXT NOT NULL,
    given_by TEXT NOT NULL,
    role TEXT NOT NULL,
    note TEXT NOT NULL,
    report_id TEXT,
    given_at BIGINT NOT NULL,
    CONSTRAINT model_approvals_pkey PRIMARY KEY (version_pk, alias, given_by),
    CONSTRAINT model_approvals_version_pk_fkey FOREIGN KEY(version_pk) REFERENCES model_versions (pk)
);

CREATE TABLE model_validations (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    version_pk BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    counts BOOLEAN NOT NULL,
    report TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT model_validations_id_key UNIQUE (id),
    CONSTRAINT model_validations_pkey PRIMARY KEY (pk),
    CONSTRAINT model_validations_version_pk_fkey FOREIGN KEY(version_pk) REFERENCES model_versions (pk)
);

CREATE TABLE model_version_tags (
    version_pk BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    CONSTRAINT model_version_tags_pkey PRIMARY KEY (version_pk, key),
    CONSTRAINT model_version_tags_version_pk_fkey FOREIGN KEY(version_pk) REFERENCES model_versions (pk)
);

CREATE TABLE packages (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    version_pk BIGINT NOT NULL,
    digest TEXT NOT NULL,
    layout TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    lock_incomplete TEXT,
    key_id TEXT,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT packages_by_version UNIQUE (version_pk, digest),
    CONSTRAINT packages_id_key UNIQUE (id),
    CONSTRAINT packages_pkey PRIMARY KEY (pk),
    CONSTRAINT packages_version_pk_fkey FOREIGN KEY(version_pk) REFERENCES model_versions (pk)
);

CREATE TABLE review_queue_items (
    queue_pk BIGINT NOT NULL,
    trace_pk BIGINT NOT NULL,
    status TEXT NOT NULL,
    completed_by TEXT,
    completed_ms BIGINT,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    CONSTRAINT review_queue_items_pkey PRIMARY KEY (queue_pk, trace_pk),
    CONSTRAINT review_queue_items_queue_pk_fkey FOREIGN KEY(queue_pk) REFERENCES review_queues (pk) ON DELETE CASCADE,
    CONSTRAINT review_queue_items_status CHECK (status = ANY (ARRAY['pending'::text, 'complete'::text, 'declined'::text])),
    CONSTRAINT review_queue_items_trace_pk_fkey FOREIGN KEY(trace_pk) REFERENCES traces (pk) ON DELETE CASCADE
);

CREATE TABLE review_queue_schemas (
    queue_pk BIGINT NOT NULL,
    schema_id TEXT COLLATE "C" NOT NULL,
    CONSTRAINT review_queue_schemas_pkey PRIMARY KEY (queue_pk, schema_id),
    CONSTRAINT review_queue_schemas_queue_pk_fkey FOREIGN KEY(queue_pk) REFERENCES review_queues (pk) ON DELETE CASCADE
);

CREATE TABLE review_queue_users (
    queue_pk BIGINT NOT NULL,
    "user" TEXT COLLATE "C" NOT NULL,
    CONSTRAINT review_queue_users_pkey PRIMARY KEY (queue_pk, "user"),
    CONSTRAINT review_queue_users_queue_pk_fkey FOREIGN KEY(queue_pk) REFERENCES review_queues (pk) ON DELETE CASCADE
);

CREATE TABLE run_artifacts (
    run_pk BIGINT NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    digest TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT run_artifacts_pkey PRIMARY KEY (run_pk, path),
    CONSTRAINT run_artifacts_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES runs (pk)
);

CREATE TABLE run_dataset_tags (
    run_pk BIGINT NOT NULL,
    dataset_pk BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    experiment_pk BIGINT NOT NULL,
    CONSTRAINT run_dataset_tags_dataset_pk_fkey FOREIGN KEY(dataset_pk) REFERENCES run_datasets (pk),
    CONSTRAINT run_dataset_tags_pkey PRIMARY KEY (run_pk, dataset_pk, key),
    CONSTRAINT run_dataset_tags_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES runs (pk)
);

CREATE TABLE run_dataset_uses (
    run_pk BIGINT NOT NULL,
    dataset_pk BIGINT NOT NULL,
    CONSTRAINT run_dataset_uses_dataset_pk_fkey FOREIGN KEY(dataset_pk) REFERENCES run_datasets (pk),
    CONSTRAINT run_dataset_uses_pkey PRIMARY KEY (run_pk, dataset_pk),
    CONSTRAINT run_dataset_uses_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES runs (pk)
);

CREATE TABLE run_links (
    run_pk BIGINT NOT NULL,
    direction TEXT NOT NULL,
    ref TEXT NOT NULL,
    digest TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT run_links_direction CHECK (direction = ANY (ARRAY['input'::text, 'output'::text])),
    CONSTRAINT run_links_pkey PRIMARY KEY (run_pk, direction, ref, digest),
    CONSTRAINT run_links_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES runs (pk)
);

CREATE TABLE run_models (
    run_pk BIGINT NOT NULL,
    direction TEXT NOT NULL,
    model_pk BIGINT NOT NULL,
    step BIGINT NOT NULL,
    CONSTRAINT run_models_direction CHECK (direction = ANY (ARRAY['input'::text, 'output'::text])),
    CONSTRAINT run_models_model_pk_fkey FOREIGN KEY(model_pk) REFERENCES logged_models (pk),
    CONSTRAINT run_models_pkey PRIMARY KEY (run_pk, direction, model_pk, step),
    CONSTRAINT run_models_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES runs (pk)
);

CREATE TABLE run_params (
    run_pk BIGINT NOT NULL,
    key_pk BIGINT NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    experiment_pk BIGINT NOT NULL,
    head TEXT COLLATE "C" NOT NULL,
    CONSTRAINT run_params_key_pk_fkey FOREIGN KEY(key_pk) REFERENCES tracking_keys (pk),
    CONSTRAINT run_params_pkey PRIMARY KEY (run_pk, key_pk),
    CONSTRAINT run_params_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES runs (pk)
);

CREATE TABLE run_tags (
    run_pk BIGINT NOT NULL,
    key_pk BIGINT NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    experiment_pk BIGINT NOT NULL,
    head TEXT COLLATE "C" NOT NULL,
    CONSTRAINT run_tags_key_pk_fkey FOREIGN KEY(key_pk) REFERENCES tracking_keys (pk),
    CONSTRAINT run_tags_pkey PRIMARY KEY (run_pk, key_pk),
    CONSTRAINT run_tags_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES runs (pk)
);

CREATE TABLE schedule_runs (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    schedule_pk BIGINT NOT NULL,
    key TEXT NOT NULL,
    cause TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    interval_start BIGINT,
    interval_end BIGINT,
    job_id TEXT,
    backfill_pk BIGINT,
    reason TEXT,
    details TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    revision BIGINT,
    run_id TEXT,
    CONSTRAINT schedule_runs_backfill_pk_fkey FOREIGN KEY(backfill_pk) REFERENCES schedule_backfills (pk),
    CONSTRAINT schedule_runs_by_key UNIQUE (schedule_pk, key),
    CONSTRAINT schedule_runs_id_key UNIQUE (id),
    CONSTRAINT schedule_runs_pkey PRIMARY KEY (pk),
    CONSTRAINT schedule_runs_schedule_pk_fkey FOREIGN KEY(schedule_pk) REFERENCES schedules (pk),
    CONSTRAINT schedule_runs_state CHECK (state = ANY (ARRAY['waiting'::text, 'running'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text, 'skipped'::text]))
);

CREATE TABLE scorer_samplings (
    scorer_pk BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    sample_rate DOUBLE PRECISION NOT NULL,
    filter TEXT,
    CONSTRAINT scorer_samplings_pkey PRIMARY KEY (scorer_pk),
    CONSTRAINT scorer_samplings_rate CHECK (sample_rate >= 0::double precision AND sample_rate <= 1::double precision),
    CONSTRAINT scorer_samplings_scorer_pk_fkey FOREIGN KEY(scorer_pk) REFERENCES scorers (pk) ON DELETE CASCADE
);

CREATE TABLE scorer_versions (
    scorer_pk BIGINT NOT NULL,
    number INTEGER NOT NULL,
    content TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    CONSTRAINT scorer_versions_pkey PRIMARY KEY (scorer_pk, number),
    CONSTRAINT scorer_versions_scorer_pk_fkey FOREIGN KEY(scorer_pk) REFERENCES scorers (pk) ON DELETE CASCADE
);

CREATE TABLE trace_assessments (
    pk BIGSERIAL NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    trace_pk BIGINT NOT NULL,
    experiment_pk BIGINT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    aggregate DOUBLE PRECISION,
    is_number SMALLINT NOT NULL,
    error TEXT,
    source TEXT NOT NULL,
    source_id TEXT,
    span_id TEXT,
    rationale TEXT,
    metadata TEXT,
    is_of_session SMALLINT NOT NULL,
    overrides TEXT,
    is_valid SMALLINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    CONSTRAINT trace_assessments_id_key UNIQUE (id),
    CONSTRAINT trace_assessments_kind CHECK (kind = ANY (ARRAY['feedback'::text, 'expectation'::text, 'issue'::text])),
    CONSTRAINT trace_assessments_pkey PRIMARY KEY (pk),
    CONSTRAINT trace_assessments_trace_pk_fkey FOREIGN KEY(trace_pk) REFERENCES traces (pk) ON DELETE CASCADE
);

CREATE TABLE trace_prompts (
    trace_pk BIGINT NOT NULL,
    prompt TEXT COLLATE "C" NOT NULL,
    CONSTRAINT trace_prompts_pkey PRIMARY KEY (trace_pk, prompt),
    CONSTRAINT trace_prompts_trace_pk_fkey FOREIGN KEY(trace_pk) REFERENCES traces (pk) ON DELETE CASCADE
);

CREATE TABLE trace_runs (
    run_pk BIGINT NOT NULL,
    trace_id TEXT COLLATE "C" NOT NULL,
    CONSTRAINT trace_runs_pkey PRIMARY KEY (run_pk, trace_id),
    CONSTRAINT trace_runs_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES runs (pk) ON DELETE CASCADE
);

CREATE TABLE trace_spans (
    pk BIGSERIAL NOT NULL,
    trace_pk BIGINT NOT NULL,
    span_id TEXT NOT NULL,
    parent_id TEXT,
    name TEXT COLLATE "C" NOT NULL,
    type TEXT COLLATE "C",
    status TEXT NOT NULL,
    started_ns BIGINT NOT NULL,
    ended_ns BIGINT,
    model TEXT COLLATE "C",
    provider TEXT COLLATE "C",
    input_cost DOUBLE PRECISION,
    output_cost DOUBLE PRECISION,
    total_cost DOUBLE PRECISION,
    data BYTEA NOT NULL,
    CONSTRAINT trace_spans_by_trace UNIQUE (trace_pk, span_id),
    CONSTRAINT trace_spans_pkey PRIMARY KEY (pk),
    CONSTRAINT trace_spans_trace_pk_fkey FOREIGN KEY(trace_pk) REFERENCES traces (pk) ON DELETE CASCADE
);

CREATE TABLE trace_values (
    trace_pk BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    key_pk BIGINT NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    experiment_pk BIGINT NOT NULL,
    CONSTRAINT trace_values_key_pk_fkey FOREIGN KEY(key_pk) REFERENCES tracking_keys (pk),
    CONSTRAINT trace_values_pkey PRIMARY KEY (trace_pk, kind, key_pk),
    CONSTRAINT trace_values_trace_pk_fkey FOREIGN KEY(trace_pk) REFERENCES traces (pk) ON DELETE CASCADE
);

CREATE TABLE issue_categories (
    issue_pk BIGINT NOT NULL,
    folded TEXT COLLATE "C" NOT NULL,
    CONSTRAINT issue_categories_issue_pk_fkey FOREIGN KEY(issue_pk) REFERENCES issues (pk) ON DELETE CASCADE,
    CONSTRAINT issue_categories_pkey PRIMARY KEY (issue_pk, folded)
);

CREATE TABLE schedule_notices (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    run_pk BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    kind TEXT NOT NULL,
    address TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    facts TEXT NOT NULL,
    status TEXT NOT NULL,
    n_attempts BIGINT NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    ended_at BIGINT,
    CONSTRAINT schedule_notices_id_key UNIQUE (id),
    CONSTRAINT schedule_notices_once UNIQUE (run_pk, attempt, kind, address),
    CONSTRAINT schedule_notices_pkey PRIMARY KEY (pk),
    CONSTRAINT schedule_notices_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES schedule_runs (pk),
    CONSTRAINT schedule_notices_status CHECK (status = ANY (ARRAY['waiting'::text, 'sent'::text, 'failed'::text]))
);

CREATE INDEX alert_groups_by_project ON alert_groups (project_pk, id);

CREATE UNIQUE INDEX alert_groups_open ON alert_groups (project_pk, cause) WHERE (closed_at IS NULL);

CREATE INDEX alert_notices_by_receiver ON alert_notices (receiver, pk);

CREATE INDEX alert_silences_by_end ON alert_silences (project_pk, ends_at);

CREATE INDEX alerts_by_endpoint ON alerts (project_pk, endpoint, id);

CREATE INDEX alerts_by_group ON alerts (group_pk);

CREATE INDEX batch_runs_by_batch ON batch_runs (batch_pk, pk);

CREATE INDEX batch_runs_by_model ON batch_runs (project_pk, model, pk);

CREATE INDEX batch_runs_by_project ON batch_runs (project_pk, pk);

CREATE UNIQUE INDEX batch_runs_unfinished ON batch_runs (project_pk, identity) WHERE (status <> 'succeeded'::text);

CREATE INDEX comments_by_deletion ON comments (deleted_at);

CREATE INDEX comments_by_subject ON comments (subject, id);

CREATE INDEX dataset_reports_by_version ON dataset_reports (version_pk, kind, pk);

CREATE INDEX decision_records_by_subject ON decision_records (project_pk, subject, id);

CREATE INDEX decisions_by_endpoint ON decisions (project_pk, endpoint, id);

CREATE INDEX endpoint_keys_by_endpoint ON endpoint_keys (endpoint_pk, pk);

CREATE UNIQUE INDEX endpoints_by_name ON endpoints (project_pk, name) WHERE (deleted_at IS NULL);

CREATE INDEX evaluation_dataset_experiments_by_experiment ON evaluation_dataset_experiments (experiment_pk, dataset_pk);

CREATE INDEX evaluation_datasets_by_name ON evaluation_datasets (project_pk, name);

CREATE INDEX evaluation_datasets_by_time ON evaluation_datasets (project_pk, created_ms DESC, id);

CREATE INDEX evaluation_records_by_time ON evaluation_records (dataset_pk, created_ms, id);

CREATE INDEX events_by_project ON events (project, position);

CREATE INDEX events_by_subject ON events (subject, position);

CREATE INDEX events_by_type ON events (type, position);

CREATE INDEX experiments_by_number ON experiments (project_pk, number);

CREATE UNIQUE INDEX input_repairs_under_way ON input_repairs (endpoint_pk) WHERE (ended_at IS NULL);

CREATE INDEX issue_categories_by_name ON issue_categories (folded, issue_pk);

CREATE INDEX issues_by_run ON issues (source_run_pk);

CREATE INDEX issues_in_order ON issues (experiment_pk, severity DESC, created_ms DESC, id DESC);

CREATE INDEX jobs_by_end ON jobs (routine, ended_at);

CREATE INDEX jobs_by_lease ON jobs (lease_until);

CREATE INDEX jobs_by_project ON jobs (project_pk, pk);

CREATE INDEX jobs_by_status ON jobs (status, not_before, pk);

CREATE INDEX label_history_by_row ON label_history (endpoint_pk, position);

CREATE INDEX label_schemas_in_order ON label_schemas (experiment_pk, created_ms DESC, id);

CREATE INDEX labels_by_position ON labels (endpoint_pk, pk);

CREATE INDEX labels_untrusted ON labels (endpoint_pk, client, received_at) WHERE (trust IS NOT NULL);

CREATE INDEX logged_model_metrics_by_run ON logged_model_metrics (run_pk);

CREATE INDEX logged_models_by_experiment ON logged_models (experiment_pk, created_at, pk);

CREATE INDEX logged_models_by_source_run ON logged_models (source_run);

CREATE INDEX loose_artifacts_by_digest ON loose_artifacts (project_pk, digest);

CREATE INDEX metric_latest_by_value ON metric_latest (experiment_pk, key_pk, is_nan, value, run_pk);

CREATE INDEX model_servers_by_seen ON model_servers (seen_at);

CREATE INDEX model_tags_by_key ON model_tags (key, model_pk);

CREATE INDEX model_validations_by_version ON model_validations (version_pk);

CREATE INDEX model_version_tags_by_key ON model_version_tags (key, version_pk);

CREATE INDEX model_versions_by_run ON model_versions (run_id);

CREATE INDEX model_versions_by_update ON model_versions (updated_at);

CREATE INDEX object_references_by_digest ON object_references (digest);

CREATE INDEX object_references_by_owner ON object_references (owner);

CREATE INDEX packages_by_digest ON packages (digest);

CREATE INDEX pipeline_runs_by_lease ON pipeline_runs (lease_until);

CREATE INDEX pipeline_runs_by_pipeline ON pipeline_runs (project_pk, pipeline, pk);

CREATE INDEX pipeline_runs_by_project ON pipeline_runs (project_pk, pk);

CREATE INDEX review_queue_items_by_trace ON review_queue_items (trace_pk);

CREATE INDEX review_queue_items_in_order ON review_queue_items (queue_pk, created_ms DESC);

CREATE INDEX review_queue_users_by_user ON review_queue_users ("user", queue_pk);

CREATE INDEX review_queues_in_order ON review_queues (experiment_pk, created_ms DESC, id);

CREATE INDEX rollouts_by_decision ON rollouts (decision_id);

CREATE INDEX rollouts_by_endpoint ON rollouts (endpoint_pk, pk);

CREATE UNIQUE INDEX rollouts_under_way ON rollouts (endpoint_pk) WHERE (ended_at IS NULL);

CREATE INDEX run_dataset_tags_by_value ON run_dataset_tags (experiment_pk, key, substr(value, 1, 64), run_pk);

CREATE INDEX run_dataset_uses_by_dataset ON run_dataset_uses (dataset_pk, run_pk);

CREATE INDEX run_links_by_ref ON run_links (ref, direction, run_pk);

CREATE INDEX run_models_by_model ON run_models (model_pk);

CREATE INDEX run_params_by_value ON run_params (experiment_pk, key_pk, head, run_pk);

CREATE INDEX run_tags_by_value ON run_tags (experiment_pk, key_pk, head, run_pk);

CREATE INDEX runs_by_author ON runs (experiment_pk, author, started_at DESC, id, pk) WHERE (deleted_at IS NULL);

CREATE INDEX runs_by_end ON runs (experiment_pk, ended_at, pk) WHERE (deleted_at IS NULL);

CREATE INDEX runs_by_experiment ON runs (experiment_pk, started_at DESC, id, pk) WHERE (deleted_at IS NULL);

CREATE INDEX runs_by_experiment_status ON runs (experiment_pk, status, started_at DESC, id, pk) WHERE (deleted_at IS NULL);

CREATE INDEX runs_by_name ON runs (experiment_pk, name, pk) WHERE (deleted_at IS NULL);

CREATE INDEX runs_by_parent ON runs (parent_pk, started_at, pk);

CREATE INDEX runs_by_project ON runs (project_pk, started_at, pk) WHERE (deleted_at IS NULL);

CREATE INDEX runs_by_status ON runs (project_pk, status, started_at, pk) WHERE (deleted_at IS NULL);

CREATE INDEX runs_deleted ON runs (experiment_pk, started_at DESC, id, pk) WHERE (deleted_at IS NOT NULL);

CREATE INDEX schedule_notices_by_status ON schedule_notices (status, due_at);

CREATE INDEX schedule_runs_by_backfill ON schedule_runs (backfill_pk);

CREATE INDEX schedule_runs_by_run ON schedule_runs (run_id);

CREATE INDEX schedule_runs_by_schedule ON schedule_runs (schedule_pk, pk);

CREATE INDEX schedule_runs_open ON schedule_runs (schedule_pk, pk) WHERE (state = ANY (ARRAY['waiting'::text, 'running'::text]));

CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE INDEX sessions_by_user ON sessions (user_pk);

CREATE INDEX sign_in_failures_by_name ON sign_in_failures (name_hash, at);

CREATE INDEX sign_in_failures_by_time ON sign_in_failures (at);

CREATE INDEX tokens_by_expiry ON tokens (expires_at);

CREATE INDEX tokens_by_name ON tokens (name);

CREATE INDEX tokens_by_user ON tokens (user_pk);

CREATE INDEX trace_assessments_by_name ON trace_assessments (experiment_pk, kind, name);

CREATE INDEX trace_assessments_by_trace ON trace_assessments (trace_pk, created_ms);

CREATE INDEX trace_prompts_by_prompt ON trace_prompts (prompt, trace_pk);

CREATE INDEX trace_runs_by_trace ON trace_runs (trace_id);

CREATE INDEX trace_values_by_value ON trace_values (experiment_pk, kind, key_pk, substr(value, 1, 64), trace_pk);

CREATE INDEX traces_by_client_request ON traces (experiment_pk, client_request_id);

CREATE INDEX traces_by_name ON traces (experiment_pk, name, started_ms DESC, id);

CREATE INDEX traces_by_session ON traces (experiment_pk, session, started_ms DESC, id);

CREATE INDEX traces_by_state ON traces (experiment_pk, state, started_ms DESC, id);

CREATE INDEX traces_by_time ON traces (experiment_pk, started_ms DESC, id);

CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);

CREATE INDEX webhooks_by_owner ON webhooks (owner, id);

CREATE INDEX webhooks_by_status ON webhooks (status);

insert into alembic_version (version_num) values ('access_0003');

insert into alembic_version (version_num) values ('catalog_0001');

insert into alembic_version (version_num) values ('core_0003');

insert into alembic_version (version_num) values ('data_0003');

insert into alembic_version (version_num) values ('decisions_0001');

insert into alembic_version (version_num) values ('delivery_0001');

insert into alembic_version (version_num) values ('monitoring_0006');

insert into alembic_version (version_num) values ('pipelines_0004');

insert into alembic_version (version_num) values ('registry_0004');

insert into alembic_version (version_num) values ('serving_0010');

insert into alembic_version (version_num) values ('tracking_0008');
