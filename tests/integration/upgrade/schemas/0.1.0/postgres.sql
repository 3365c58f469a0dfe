CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
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

CREATE TABLE metric_latest (
    run_pk BIGINT NOT NULL,
    key_pk BIGINT NOT NULL,
    step BIGINT NOT NULL,
    at BIGINT NOT NULL,
    is_nan SMALLINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
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

CREATE TABLE projects (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT projects_id_key UNIQUE (id),
    CONSTRAINT projects_name_key UNIQUE (name),
    CONSTRAINT projects_pkey PRIMARY KEY (pk)
);

CREATE TABLE sign_in_failures (
    pk BIGSERIAL NOT NULL,
    name_hash TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT sign_in_failures_pkey PRIMARY KEY (pk)
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
    CONSTRAINT alerts_id_key UNIQUE (id),
    CONSTRAINT alerts_pkey PRIMARY KEY (pk),
    CONSTRAINT alerts_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE datasets (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    name TEXT NOT NULL,
    latest BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
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
    CONSTRAINT endpoints_id_key UNIQUE (id),
    CONSTRAINT endpoints_pkey PRIMARY KEY (pk),
    CONSTRAINT endpoints_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE experiments (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    name TEXT NOT NULL,
    number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
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

CREATE TABLE models (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    name TEXT NOT NULL,
    latest BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
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
    CONSTRAINT monitors_by_endpoint UNIQUE (project_pk, endpoint),
    CONSTRAINT monitors_id_key UNIQUE (id),
    CONSTRAINT monitors_pkey PRIMARY KEY (pk),
    CONSTRAINT monitors_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk)
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
    CONSTRAINT capture_counts_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT capture_counts_pkey PRIMARY KEY (endpoint_pk, version, revision)
);

CREATE TABLE captures (
    pk BIGSERIAL NOT NULL,
    endpoint_pk BIGINT NOT NULL,
    prediction_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    row BIGINT NOT NULL,
    at BIGINT NOT NULL,
    inputs TEXT NOT NULL,
    outputs TEXT NOT NULL,
    latency_us BIGINT NOT NULL,
    error TEXT,
    CONSTRAINT captures_by_prediction UNIQUE (prediction_id, endpoint_pk),
    CONSTRAINT captures_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT captures_pkey PRIMARY KEY (pk)
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

CREATE TABLE job_logs (
    job_pk BIGINT NOT NULL,
    line BIGINT NOT NULL,
    at BIGINT NOT NULL,
    stream TEXT NOT NULL,
    text TEXT NOT NULL,
    CONSTRAINT job_logs_job_pk_fkey FOREIGN KEY(job_pk) REFERENCES jobs (pk),
    CONSTRAINT job_logs_pkey PRIMARY KEY (job_pk, line)
);

CREATE TABLE model_aliases (
    model_pk BIGINT NOT NULL,
    alias TEXT NOT NULL,
    version BIGINT NOT NULL,
    moved_at BIGINT NOT NULL,
    CONSTRAINT model_aliases_model_pk_fkey FOREIGN KEY(model_pk) REFERENCES models (pk),
    CONSTRAINT model_aliases_pkey PRIMARY KEY (model_pk, alias)
);

CREATE TABLE model_versions (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    model_pk BIGINT NOT NULL,
    version BIGINT NOT NULL,
    digest TEXT NOT NULL,
    format TEXT NOT NULL,
    task TEXT NOT NULL,
    signature TEXT NOT NULL,
    classes TEXT,
    holdout TEXT,
    metrics TEXT NOT NULL,
    origin TEXT NOT NULL,
    message TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT model_versions_by_version UNIQUE (model_pk, version),
    CONSTRAINT model_versions_id_key UNIQUE (id),
    CONSTRAINT model_versions_model_pk_fkey FOREIGN KEY(model_pk) REFERENCES models (pk),
    CONSTRAINT model_versions_pkey PRIMARY KEY (pk)
);

CREATE TABLE monitor_windows (
    monitor_pk BIGINT NOT NULL,
    index BIGINT NOT NULL,
    body TEXT NOT NULL,
    CONSTRAINT monitor_windows_monitor_pk_fkey FOREIGN KEY(monitor_pk) REFERENCES monitors (pk),
    CONSTRAINT monitor_windows_pkey PRIMARY KEY (monitor_pk, index)
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
    CONSTRAINT rollouts_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT rollouts_id_key UNIQUE (id),
    CONSTRAINT rollouts_pkey PRIMARY KEY (pk)
);

CREATE TABLE runs (
    pk BIGSERIAL NOT NULL,
    id TEXT NOT NULL,
    project_pk BIGINT NOT NULL,
    experiment_pk BIGINT NOT NULL,
    parent_pk BIGINT,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    author TEXT NOT NULL,
    source TEXT,
    CONSTRAINT runs_experiment_pk_fkey FOREIGN KEY(experiment_pk) REFERENCES experiments (pk),
    CONSTRAINT runs_id_key UNIQUE (id),
    CONSTRAINT runs_parent_pk_fkey FOREIGN KEY(parent_pk) REFERENCES runs (pk),
    CONSTRAINT runs_pkey PRIMARY KEY (pk),
    CONSTRAINT runs_project_pk_fkey FOREIGN KEY(project_pk) REFERENCES projects (pk),
    CONSTRAINT runs_status CHECK (status = ANY (ARRAY['running'::text, 'finished'::text, 'failed'::text, 'killed'::text]))
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
    CONSTRAINT step_runs_pkey PRIMARY KEY (run_pk, position),
    CONSTRAINT step_runs_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES pipeline_runs (pk),
    CONSTRAINT step_runs_status CHECK (status = ANY (ARRAY['finished'::text, 'failed'::text, 'reused'::text]))
);

CREATE TABLE labels (
    pk BIGSERIAL NOT NULL,
    capture_pk BIGINT NOT NULL,
    endpoint_pk BIGINT NOT NULL,
    value TEXT NOT NULL,
    at BIGINT NOT NULL,
    source TEXT,
    n_contradictions BIGINT NOT NULL,
    CONSTRAINT labels_capture_pk_fkey FOREIGN KEY(capture_pk) REFERENCES captures (pk),
    CONSTRAINT labels_capture_pk_key UNIQUE (capture_pk),
    CONSTRAINT labels_endpoint_pk_fkey FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk),
    CONSTRAINT labels_pkey PRIMARY KEY (pk)
);

CREATE TABLE run_artifacts (
    run_pk BIGINT NOT NULL,
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT run_artifacts_pkey PRIMARY KEY (run_pk, path),
    CONSTRAINT run_artifacts_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES runs (pk)
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

CREATE TABLE run_params (
    run_pk BIGINT NOT NULL,
    key_pk BIGINT NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT run_params_key_pk_fkey FOREIGN KEY(key_pk) REFERENCES tracking_keys (pk),
    CONSTRAINT run_params_pkey PRIMARY KEY (run_pk, key_pk),
    CONSTRAINT run_params_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES runs (pk)
);

CREATE TABLE run_tags (
    run_pk BIGINT NOT NULL,
    key_pk BIGINT NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT run_tags_key_pk_fkey FOREIGN KEY(key_pk) REFERENCES tracking_keys (pk),
    CONSTRAINT run_tags_pkey PRIMARY KEY (run_pk, key_pk),
    CONSTRAINT run_tags_run_pk_fkey FOREIGN KEY(run_pk) REFERENCES runs (pk)
);

CREATE INDEX alerts_by_endpoint ON alerts (project_pk, endpoint, id);

CREATE INDEX captures_by_position ON captures (endpoint_pk, pk);

CREATE INDEX captures_by_version ON captures (endpoint_pk, version, pk);

CREATE INDEX decision_records_by_subject ON decision_records (project_pk, subject, id);

CREATE INDEX decisions_by_endpoint ON decisions (project_pk, endpoint, id);

CREATE UNIQUE INDEX endpoints_by_name ON endpoints (project_pk, name) WHERE (deleted_at IS NULL);

CREATE INDEX events_by_subject ON events (subject, position);

CREATE INDEX events_by_type ON events (type, position);

CREATE INDEX experiments_by_number ON experiments (project_pk, number);

CREATE INDEX jobs_by_end ON jobs (routine, ended_at);

CREATE INDEX jobs_by_lease ON jobs (lease_until);

CREATE INDEX jobs_by_project ON jobs (project_pk, pk);

CREATE INDEX jobs_by_status ON jobs (status, not_before, pk);

CREATE INDEX labels_by_position ON labels (endpoint_pk, pk);

CREATE INDEX model_servers_by_seen ON model_servers (seen_at);

CREATE INDEX object_references_by_digest ON object_references (digest);

CREATE INDEX object_references_by_owner ON object_references (owner);

CREATE INDEX pipeline_runs_by_lease ON pipeline_runs (lease_until);

CREATE INDEX pipeline_runs_by_pipeline ON pipeline_runs (project_pk, pipeline, pk);

CREATE INDEX pipeline_runs_by_project ON pipeline_runs (project_pk, pk);

CREATE INDEX rollouts_by_decision ON rollouts (decision_id);

CREATE INDEX rollouts_by_endpoint ON rollouts (endpoint_pk, pk);

CREATE UNIQUE INDEX rollouts_under_way ON rollouts (endpoint_pk) WHERE (ended_at IS NULL);

CREATE INDEX run_links_by_ref ON run_links (ref, direction, run_pk);

CREATE INDEX runs_by_experiment ON runs (experiment_pk, started_at, pk);

CREATE INDEX runs_by_experiment_status ON runs (experiment_pk, status, started_at, pk);

CREATE INDEX runs_by_parent ON runs (parent_pk, started_at, pk);

CREATE INDEX runs_by_project ON runs (project_pk, started_at, pk);

CREATE INDEX runs_by_status ON runs (project_pk, status, started_at, pk);

CREATE INDEX sign_in_failures_by_name ON sign_in_failures (name_hash, at);

CREATE INDEX sign_in_failures_by_time ON sign_in_failures (at);

CREATE INDEX tokens_by_expiry ON tokens (expires_at);

CREATE INDEX tokens_by_name ON tokens (name);

CREATE INDEX tokens_by_user ON tokens (user_pk);

insert into alembic_version (version_num) values ('catalog_0001');

insert into alembic_version (version_num) values ('data_0001');

insert into alembic_version (version_num) values ('decisions_0001');

insert into alembic_version (version_num) values ('monitoring_0001');

insert into alembic_version (version_num) values ('pipelines_0001');

insert into alembic_version (version_num) values ('registry_0001');

insert into alembic_version (version_num) values ('serving_0001');
