CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE alerts (
	pk INTEGER NOT NULL, 
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
	PRIMARY KEY (pk), 
	UNIQUE (id), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE capture_counts (
	endpoint_pk BIGINT NOT NULL, 
	version BIGINT NOT NULL, 
	revision BIGINT NOT NULL, 
	n_requests BIGINT NOT NULL, 
	n_rows BIGINT NOT NULL, 
	n_errors BIGINT NOT NULL, 
	latency_sum_us FLOAT NOT NULL, 
	latency_sum_squares FLOAT NOT NULL, 
	latency_buckets TEXT NOT NULL, 
	n_labelled BIGINT NOT NULL, 
	n_judged BIGINT NOT NULL, 
	n_correct BIGINT NOT NULL, 
	n_measured BIGINT NOT NULL, 
	abs_error_sum FLOAT NOT NULL, 
	abs_error_sum_squares FLOAT NOT NULL, 
	PRIMARY KEY (endpoint_pk, version, revision), 
	FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk)
);

CREATE TABLE captures (
	pk INTEGER NOT NULL, 
	endpoint_pk BIGINT NOT NULL, 
	prediction_id TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	revision BIGINT NOT NULL, 
	"row" BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	inputs TEXT NOT NULL, 
	outputs TEXT NOT NULL, 
	latency_us BIGINT NOT NULL, 
	error TEXT, 
	PRIMARY KEY (pk), 
	CONSTRAINT captures_by_prediction UNIQUE (prediction_id, endpoint_pk), 
	FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk)
);

CREATE TABLE dataset_versions (
	pk INTEGER NOT NULL, 
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
	PRIMARY KEY (pk), 
	CONSTRAINT dataset_versions_by_version UNIQUE (dataset_pk, version), 
	UNIQUE (id), 
	FOREIGN KEY(dataset_pk) REFERENCES datasets (pk)
);

CREATE TABLE datasets (
	pk INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	project_pk BIGINT NOT NULL, 
	name TEXT NOT NULL, 
	latest BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (pk), 
	CONSTRAINT datasets_by_name UNIQUE (project_pk, name), 
	UNIQUE (id), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE decision_records (
	pk INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	project_pk BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	"key" TEXT, 
	body TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	closed_at BIGINT, 
	PRIMARY KEY (pk), 
	CONSTRAINT decision_records_by_key UNIQUE (project_pk, "key"), 
	UNIQUE (id), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE decisions (
	pk INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	project_pk BIGINT NOT NULL, 
	endpoint TEXT NOT NULL, 
	status TEXT NOT NULL, 
	alert_id TEXT, 
	open_endpoint TEXT, 
	body TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (pk), 
	CONSTRAINT decisions_open UNIQUE (project_pk, open_endpoint), 
	UNIQUE (id), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk), 
	UNIQUE (alert_id)
);

CREATE TABLE endpoints (
	pk INTEGER NOT NULL, 
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
	PRIMARY KEY (pk), 
	UNIQUE (id), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE event_cursors (
	reader TEXT NOT NULL, 
	position BIGINT NOT NULL, 
	PRIMARY KEY (reader)
);

CREATE TABLE events (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	position BIGINT, 
	transaction_id BIGINT, 
	at BIGINT NOT NULL, 
	actor TEXT NOT NULL, 
	project TEXT, 
	type TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	hash TEXT, 
	UNIQUE (position)
);

CREATE TABLE experiments (
	pk INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	project_pk BIGINT NOT NULL, 
	name TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (pk), 
	CONSTRAINT experiments_by_name UNIQUE (project_pk, name), 
	UNIQUE (id), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk), 
	UNIQUE (number)
);

CREATE TABLE job_logs (
	job_pk BIGINT NOT NULL, 
	line BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	stream TEXT NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (job_pk, line), 
	FOREIGN KEY(job_pk) REFERENCES jobs (pk)
);

CREATE TABLE jobs (
	pk INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	project_pk BIGINT NOT NULL, 
	entry TEXT NOT NULL, 
	args TEXT NOT NULL, 
	snapshot TEXT, 
	status TEXT NOT NULL, 
	attempt BIGINT NOT NULL, 
	max_attempts BIGINT NOT NULL, 
	timeout_s DOUBLE NOT NULL, 
	lease_until BIGINT, 
	claimed_by TEXT, 
	result TEXT, 
	error TEXT, 
	created_at BIGINT NOT NULL, 
	not_before BIGINT NOT NULL, 
	started_at BIGINT, 
	ended_at BIGINT, 
	"key" TEXT, 
	submitted_by TEXT NOT NULL, 
	role TEXT NOT NULL, 
	permissions TEXT NOT NULL, 
	cancel_requested BOOLEAN NOT NULL, 
	routine BOOLEAN NOT NULL, 
	PRIMARY KEY (pk), 
	CONSTRAINT jobs_status CHECK (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')), 
	CONSTRAINT jobs_by_key UNIQUE (project_pk, "key"), 
	UNIQUE (id), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE labels (
	pk INTEGER NOT NULL, 
	capture_pk BIGINT NOT NULL, 
	endpoint_pk BIGINT NOT NULL, 
	value TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	source TEXT, 
	n_contradictions BIGINT NOT NULL, 
	PRIMARY KEY (pk), 
	UNIQUE (capture_pk), 
	FOREIGN KEY(capture_pk) REFERENCES captures (pk), 
	FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk)
);

CREATE TABLE latest_steps (
	project_pk BIGINT NOT NULL, 
	pipeline TEXT NOT NULL, 
	step TEXT NOT NULL, 
	occurrence BIGINT NOT NULL, 
	run_id TEXT NOT NULL, 
	parts TEXT NOT NULL, 
	PRIMARY KEY (project_pk, pipeline, step, occurrence), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE metric_latest (
	run_pk BIGINT NOT NULL, 
	key_pk BIGINT NOT NULL, 
	step BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	is_nan SMALLINT NOT NULL, 
	value DOUBLE NOT NULL, 
	PRIMARY KEY (run_pk, key_pk)
)
 WITHOUT ROWID;

CREATE TABLE metric_points (
	run_pk BIGINT NOT NULL, 
	key_pk BIGINT NOT NULL, 
	step BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	is_nan SMALLINT NOT NULL, 
	value DOUBLE NOT NULL, 
	PRIMARY KEY (run_pk, key_pk, step, at, is_nan, value)
)
 WITHOUT ROWID;

CREATE TABLE model_aliases (
	model_pk BIGINT NOT NULL, 
	alias TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	moved_at BIGINT NOT NULL, 
	PRIMARY KEY (model_pk, alias), 
	FOREIGN KEY(model_pk) REFERENCES models (pk)
);

CREATE TABLE model_servers (
	server TEXT NOT NULL, 
	url TEXT, 
	seen_at BIGINT NOT NULL, 
	endpoints TEXT NOT NULL, 
	n_dropped BIGINT NOT NULL, 
	PRIMARY KEY (server)
);

CREATE TABLE model_versions (
	pk INTEGER NOT NULL, 
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
	PRIMARY KEY (pk), 
	CONSTRAINT model_versions_by_version UNIQUE (model_pk, version), 
	UNIQUE (id), 
	FOREIGN KEY(model_pk) REFERENCES models (pk)
);

CREATE TABLE models (
	pk INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	project_pk BIGINT NOT NULL, 
	name TEXT NOT NULL, 
	latest BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (pk), 
	CONSTRAINT models_by_name UNIQUE (project_pk, name), 
	UNIQUE (id), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE monitor_windows (
	monitor_pk BIGINT NOT NULL, 
	"index" BIGINT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (monitor_pk, "index"), 
	FOREIGN KEY(monitor_pk) REFERENCES monitors (pk)
);

CREATE TABLE monitors (
	pk INTEGER NOT NULL, 
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
	PRIMARY KEY (pk), 
	CONSTRAINT monitors_by_endpoint UNIQUE (project_pk, endpoint), 
	UNIQUE (id), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE object_references (
	project TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (project, digest, owner)
);

CREATE TABLE pipeline_runs (
	pk INTEGER NOT NULL, 
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
	PRIMARY KEY (pk), 
	UNIQUE (run_id), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE project_roles (
	user_pk BIGINT NOT NULL, 
	project_pk BIGINT NOT NULL, 
	role TEXT NOT NULL, 
	PRIMARY KEY (user_pk, project_pk), 
	FOREIGN KEY(user_pk) REFERENCES users (pk) ON DELETE cascade, 
	FOREIGN KEY(project_pk) REFERENCES projects (pk) ON DELETE cascade
);

CREATE TABLE projects (
	pk INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (pk), 
	UNIQUE (id), 
	UNIQUE (name)
);

CREATE TABLE rollouts (
	pk INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	endpoint_pk BIGINT NOT NULL, 
	strategy TEXT NOT NULL, 
	from_version BIGINT, 
	to_version BIGINT NOT NULL, 
	steps TEXT NOT NULL, 
	step BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	gates TEXT NOT NULL, 
	patience_s FLOAT, 
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
	PRIMARY KEY (pk), 
	UNIQUE (id), 
	FOREIGN KEY(endpoint_pk) REFERENCES endpoints (pk)
);

CREATE TABLE run_artifacts (
	run_pk BIGINT NOT NULL, 
	path TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (run_pk, path), 
	FOREIGN KEY(run_pk) REFERENCES runs (pk)
)
 WITHOUT ROWID;

CREATE TABLE run_links (
	run_pk BIGINT NOT NULL, 
	direction TEXT NOT NULL, 
	ref TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (run_pk, direction, ref, digest), 
	CONSTRAINT run_links_direction CHECK (direction in ('input', 'output')), 
	FOREIGN KEY(run_pk) REFERENCES runs (pk)
)
 WITHOUT ROWID;

CREATE TABLE run_params (
	run_pk BIGINT NOT NULL, 
	key_pk BIGINT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (run_pk, key_pk), 
	FOREIGN KEY(run_pk) REFERENCES runs (pk), 
	FOREIGN KEY(key_pk) REFERENCES tracking_keys (pk)
)
 WITHOUT ROWID;

CREATE TABLE run_tags (
	run_pk BIGINT NOT NULL, 
	key_pk BIGINT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (run_pk, key_pk), 
	FOREIGN KEY(run_pk) REFERENCES runs (pk), 
	FOREIGN KEY(key_pk) REFERENCES tracking_keys (pk)
)
 WITHOUT ROWID;

CREATE TABLE runs (
	pk INTEGER NOT NULL, 
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
	PRIMARY KEY (pk), 
	CONSTRAINT runs_status CHECK (status in ('running', 'finished', 'failed', 'killed')), 
	UNIQUE (id), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk), 
	FOREIGN KEY(experiment_pk) REFERENCES experiments (pk), 
	FOREIGN KEY(parent_pk) REFERENCES runs (pk)
);

CREATE TABLE sign_in_failures (
	pk INTEGER NOT NULL, 
	name_hash TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (pk)
);

CREATE TABLE step_cache (
	pk INTEGER NOT NULL, 
	project_pk BIGINT NOT NULL, 
	"key" TEXT NOT NULL, 
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
	PRIMARY KEY (pk), 
	CONSTRAINT step_cache_by_key UNIQUE (project_pk, "key", writer), 
	FOREIGN KEY(project_pk) REFERENCES projects (pk)
);

CREATE TABLE step_runs (
	run_pk BIGINT NOT NULL, 
	position BIGINT NOT NULL, 
	step TEXT NOT NULL, 
	name TEXT NOT NULL, 
	occurrence BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	"key" TEXT, 
	attempts BIGINT NOT NULL, 
	started_at BIGINT NOT NULL, 
	duration_us BIGINT NOT NULL, 
	outputs TEXT NOT NULL, 
	error TEXT, 
	PRIMARY KEY (run_pk, position), 
	CONSTRAINT step_runs_status CHECK (status in ('finished', 'failed', 'reused')), 
	FOREIGN KEY(run_pk) REFERENCES pipeline_runs (pk)
);

CREATE TABLE tokens (
	pk INTEGER NOT NULL, 
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
	PRIMARY KEY (pk), 
	UNIQUE (id), 
	UNIQUE (secret_hash), 
	FOREIGN KEY(user_pk) REFERENCES users (pk) ON DELETE cascade, 
	FOREIGN KEY(project_pk) REFERENCES projects (pk) ON DELETE cascade
);

CREATE TABLE tracking_keys (
	pk INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	PRIMARY KEY (pk), 
	UNIQUE ("key")
);

CREATE TABLE users (
	pk INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	password_hash TEXT NOT NULL, 
	role TEXT, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (pk), 
	UNIQUE (id), 
	UNIQUE (name)
);

CREATE INDEX alerts_by_endpoint ON alerts (project_pk, endpoint, id);

CREATE INDEX captures_by_position ON captures (endpoint_pk, pk);

CREATE INDEX captures_by_version ON captures (endpoint_pk, version, pk);

CREATE INDEX decision_records_by_subject ON decision_records (project_pk, subject, id);

CREATE INDEX decisions_by_endpoint ON decisions (project_pk, endpoint, id);

CREATE UNIQUE INDEX endpoints_by_name ON endpoints (project_pk, name) WHERE deleted_at is null;

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

CREATE UNIQUE INDEX rollouts_under_way ON rollouts (endpoint_pk) WHERE ended_at is null;

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
