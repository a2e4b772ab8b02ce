CREATE TABLE public.alert (
    job text NOT NULL,
    segment text NOT NULL,
    signal text NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    onset timestamp with time zone,
    effect double precision,
    state text NOT NULL,
    message text,
    last_sent_at timestamp with time zone,
    acknowledged_by text,
    acknowledged_at timestamp with time zone,
    closed_at timestamp with time zone,
    run_id text,
    reason text,
    delivery_errors json,
    message_id text,
    accepted_at timestamp with time zone
);
CREATE TABLE public.calibration (
    job text NOT NULL,
    cutoff timestamp with time zone NOT NULL,
    applied_calibration bytea,
    coverage_evidence bytea
);
CREATE TABLE public.forecast (
    job text NOT NULL,
    cutoff timestamp with time zone NOT NULL,
    series_id text NOT NULL,
    step integer NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    mean double precision,
    median double precision,
    baseline double precision,
    model_version text,
    source text NOT NULL,
    reason text,
    run_id text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    q0_1 double precision,
    q0_9 double precision
)
PARTITION BY RANGE (cutoff);
CREATE TABLE public.forecast_2024_01 (
    job text CONSTRAINT forecast_job_not_null NOT NULL,
    cutoff timestamp with time zone CONSTRAINT forecast_cutoff_not_null NOT NULL,
    series_id text CONSTRAINT forecast_series_id_not_null NOT NULL,
    step integer CONSTRAINT forecast_step_not_null NOT NULL,
    "timestamp" timestamp with time zone CONSTRAINT forecast_timestamp_not_null NOT NULL,
    mean double precision,
    median double precision,
    baseline double precision,
    model_version text,
    source text CONSTRAINT forecast_source_not_null NOT NULL,
    reason text,
    run_id text CONSTRAINT forecast_run_id_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT forecast_created_at_not_null NOT NULL,
    q0_1 double precision,
    q0_9 double precision
);
CREATE TABLE public.forecast_2024_02 (
    job text CONSTRAINT forecast_job_not_null NOT NULL,
    cutoff timestamp with time zone CONSTRAINT forecast_cutoff_not_null NOT NULL,
    series_id text CONSTRAINT forecast_series_id_not_null NOT NULL,
    step integer CONSTRAINT forecast_step_not_null NOT NULL,
    "timestamp" timestamp with time zone CONSTRAINT forecast_timestamp_not_null NOT NULL,
    mean double precision,
    median double precision,
    baseline double precision,
    model_version text,
    source text CONSTRAINT forecast_source_not_null NOT NULL,
    reason text,
    run_id text CONSTRAINT forecast_run_id_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT forecast_created_at_not_null NOT NULL,
    q0_1 double precision,
    q0_9 double precision
);
CREATE TABLE public.forecast_2024_03 (
    job text CONSTRAINT forecast_job_not_null NOT NULL,
    cutoff timestamp with time zone CONSTRAINT forecast_cutoff_not_null NOT NULL,
    series_id text CONSTRAINT forecast_series_id_not_null NOT NULL,
    step integer CONSTRAINT forecast_step_not_null NOT NULL,
    "timestamp" timestamp with time zone CONSTRAINT forecast_timestamp_not_null NOT NULL,
    mean double precision,
    median double precision,
    baseline double precision,
    model_version text,
    source text CONSTRAINT forecast_source_not_null NOT NULL,
    reason text,
    run_id text CONSTRAINT forecast_run_id_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT forecast_created_at_not_null NOT NULL,
    q0_1 double precision,
    q0_9 double precision
);
CREATE TABLE public.hindcast_loss (
    job text NOT NULL,
    evaluated_on timestamp with time zone NOT NULL,
    segment text NOT NULL,
    model_version text,
    in_sample boolean NOT NULL,
    loss double precision,
    baseline_loss double precision,
    coverage double precision,
    bias double precision,
    n bigint,
    instability double precision,
    special_definition text,
    special_n bigint,
    special_loss double precision,
    special_baseline_loss double precision
);
CREATE TABLE public.job (
    job text NOT NULL,
    file text NOT NULL,
    machine text NOT NULL,
    url text NOT NULL,
    address text NOT NULL,
    relation text NOT NULL,
    output text NOT NULL,
    since timestamp with time zone NOT NULL
);
CREATE TABLE public.publication (
    job text NOT NULL,
    cutoff timestamp with time zone NOT NULL,
    run_id text NOT NULL,
    rows bigint NOT NULL,
    model_version text,
    first_timestamp timestamp with time zone NOT NULL,
    last_timestamp timestamp with time zone NOT NULL,
    published_at timestamp with time zone NOT NULL,
    digest text
);
CREATE VIEW public.latest_forecast AS
 SELECT f.job,
    f.cutoff,
    f.series_id,
    f.step,
    f."timestamp",
    f.mean,
    f.median,
    f.baseline,
    f.model_version,
    f.source,
    f.reason,
    f.run_id,
    f.created_at,
    f.q0_1,
    f.q0_9
   FROM (public.forecast f
     JOIN ( SELECT publication.job,
            max(publication.cutoff) AS cutoff
           FROM public.publication
          GROUP BY publication.job) p ON (((p.job = f.job) AND (p.cutoff = f.cutoff))));
CREATE TABLE public.loss (
    job text NOT NULL,
    evaluated_on timestamp with time zone NOT NULL,
    segment text NOT NULL,
    metric text,
    loss double precision,
    baseline_loss double precision,
    coverage double precision,
    bias double precision,
    n bigint,
    instability double precision,
    special_definition text,
    special_n bigint,
    special_loss double precision,
    special_baseline_loss double precision,
    statistic double precision,
    threshold double precision,
    effect double precision,
    onset timestamp with time zone,
    state text NOT NULL,
    run_id text,
    detectable_effect double precision,
    reason text,
    other_signals json
);
CREATE TABLE public.model (
    job text NOT NULL,
    version text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    trained_until timestamp with time zone NOT NULL,
    stage text NOT NULL,
    promoted_at timestamp with time zone,
    metrics json NOT NULL,
    uri text NOT NULL,
    digest text NOT NULL,
    served_from timestamp with time zone,
    reason text
);
CREATE TABLE public.nightcast_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.promotion (
    job text NOT NULL,
    version text NOT NULL,
    evaluated_on timestamp with time zone NOT NULL,
    champion_version text NOT NULL,
    held_out boolean NOT NULL,
    n bigint NOT NULL,
    loss double precision,
    champion_loss double precision,
    coverage double precision,
    champion_coverage double precision,
    log_ratio double precision,
    segment_sums json,
    nights integer NOT NULL,
    e_value double precision NOT NULL,
    champion_e_value double precision NOT NULL,
    effect double precision,
    worst_segment text,
    worst_effect double precision,
    action text NOT NULL,
    reason text NOT NULL
);
CREATE TABLE public.run (
    run_id text NOT NULL,
    job text NOT NULL,
    cutoff timestamp with time zone NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    state text NOT NULL,
    train_mode text,
    train_reason text,
    model_version text,
    rows_read bigint,
    series bigint,
    fallback_series bigint,
    seconds json,
    error text,
    report text,
    note text,
    kind text,
    publishing boolean
);
CREATE TABLE public.score (
    job text NOT NULL,
    cutoff timestamp with time zone NOT NULL,
    segment text NOT NULL,
    step integer NOT NULL,
    metric text NOT NULL,
    value double precision,
    baseline_value double precision,
    n bigint NOT NULL,
    model_version text
);
ALTER TABLE ONLY public.forecast ATTACH PARTITION public.forecast_2024_01 FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2024-02-01 00:00:00+00');
ALTER TABLE ONLY public.forecast ATTACH PARTITION public.forecast_2024_02 FOR VALUES FROM ('2024-02-01 00:00:00+00') TO ('2024-03-01 00:00:00+00');
ALTER TABLE ONLY public.forecast ATTACH PARTITION public.forecast_2024_03 FOR VALUES FROM ('2024-03-01 00:00:00+00') TO ('2024-04-01 00:00:00+00');
INSERT INTO public.alert VALUES ('sales', 'all', 'loss', '2024-02-01 00:00:00+00', '2024-01-31 00:00:00+00', 0.4, 'closed', 'sales, all: loss 40% worse', '2024-02-02 03:00:00+00', 'ana', '2024-02-02 04:00:00+00', '2024-02-01 00:00:00+00', 'r1', 'the source is stale', '{"webhook": "it answered 500"}', '5b1d7c1e-3f0a-5c58-9d57-6f2a8f0c9a11', '2024-02-02 04:00:00+00');
INSERT INTO public.calibration VALUES ('sales', '2024-02-01 00:00:00+00', '\x504b0304', '\x504b0506');
INSERT INTO public.forecast_2024_01 VALUES ('sales', '2024-01-31 00:00:00+00', 's000000', 1, '2024-02-01 00:00:00+00', 1, 1, NULL, NULL, 'fallback', 'too short', 'r1', '2024-02-01 03:00:00+00', 1, 1);
INSERT INTO public.forecast_2024_01 VALUES ('sales', '2024-01-31 00:00:00+00', 's000000', 2, '2024-02-02 00:00:00+00', 1, 1, NULL, NULL, 'fallback', 'too short', 'r1', '2024-02-01 03:00:00+00', 1, 1);
INSERT INTO public.forecast_2024_01 VALUES ('sales', '2024-01-31 00:00:00+00', 's000000', 3, '2024-02-03 00:00:00+00', 1, 1, NULL, NULL, 'fallback', 'too short', 'r1', '2024-02-01 03:00:00+00', 1, 1);
INSERT INTO public.forecast_2024_01 VALUES ('sales', '2024-01-31 00:00:00+00', 's000001', 1, '2024-02-01 00:00:00+00', 1, 1, NULL, NULL, 'fallback', 'too short', 'r1', '2024-02-01 03:00:00+00', 1, 1);
INSERT INTO public.forecast_2024_01 VALUES ('sales', '2024-01-31 00:00:00+00', 's000001', 2, '2024-02-02 00:00:00+00', 1, 1, NULL, NULL, 'fallback', 'too short', 'r1', '2024-02-01 03:00:00+00', 1, 1);
INSERT INTO public.forecast_2024_01 VALUES ('sales', '2024-01-31 00:00:00+00', 's000001', 3, '2024-02-03 00:00:00+00', 1, 1, NULL, NULL, 'fallback', 'too short', 'r1', '2024-02-01 03:00:00+00', 1, 1);
INSERT INTO public.forecast_2024_02 VALUES ('sales', '2024-02-01 00:00:00+00', 's000000', 1, '2024-02-02 00:00:00+00', 2, 2, 1.5, 'v1', 'model', NULL, 'r1', '2024-02-01 03:00:00+00', 2, 2);
INSERT INTO public.forecast_2024_02 VALUES ('sales', '2024-02-01 00:00:00+00', 's000000', 2, '2024-02-03 00:00:00+00', 2, 2, 1.5, 'v1', 'model', NULL, 'r1', '2024-02-01 03:00:00+00', 2, 2);
INSERT INTO public.forecast_2024_02 VALUES ('sales', '2024-02-01 00:00:00+00', 's000000', 3, '2024-02-04 00:00:00+00', 2, 2, 1.5, 'v1', 'model', NULL, 'r1', '2024-02-01 03:00:00+00', 2, 2);
INSERT INTO public.forecast_2024_02 VALUES ('sales', '2024-02-01 00:00:00+00', 's000001', 1, '2024-02-02 00:00:00+00', 2, 2, 1.5, 'v1', 'model', NULL, 'r1', '2024-02-01 03:00:00+00', 2, 2);
INSERT INTO public.forecast_2024_02 VALUES ('sales', '2024-02-01 00:00:00+00', 's000001', 2, '2024-02-03 00:00:00+00', 2, 2, 1.5, 'v1', 'model', NULL, 'r1', '2024-02-01 03:00:00+00', 2, 2);
INSERT INTO public.forecast_2024_02 VALUES ('sales', '2024-02-01 00:00:00+00', 's000001', 3, '2024-02-04 00:00:00+00', 2, 2, 1.5, 'v1', 'model', NULL, 'r1', '2024-02-01 03:00:00+00', 2, 2);
INSERT INTO public.hindcast_loss VALUES ('sales', '2024-02-01 00:00:00+00', 'all', 'v1', false, 0.8, 1, 0.79, -0.02, 6, 0.1, '{"columns": ["promotion"], "left_out": [], "holidays": ["ES"]}', 2, 0.9, 1.4);
INSERT INTO public.job VALUES ('sales', '/jobs/sales.yaml', 'night', '${SOURCE}', 'sqlite:////data/history.db', 'table sold', 'sqlite:////data/forecasts.db', '2024-02-02 03:00:00+00');
INSERT INTO public.loss VALUES ('sales', '2024-02-01 00:00:00+00', 'all', 'loss', 0.8, 1, 0.79, -0.02, 6, 0.1, '{"columns": ["promotion"], "left_out": [], "holidays": ["ES"]}', 2, 0.9, 1.4, 0.3, 1, 0.01, '2024-01-31 00:00:00+00', 'degraded', 'r1', 0.1, 'worse than usual', '{"bias": {"state": "ok", "statistic": 0.3, "effect": 0.01, "onset": null, "detectable_effect": 0.1, "reason": ""}, "coverage": {"state": "ok", "statistic": 0.3, "effect": 0.01, "onset": null, "detectable_effect": 0.1, "reason": ""}, "instability": {"state": "ok", "statistic": 0.3, "effect": 0.01, "onset": null, "detectable_effect": 0.1, "reason": ""}}');
INSERT INTO public.model VALUES ('sales', 'v2', '2024-01-31 00:00:00+00', '2024-01-31 00:00:00+00', 'challenger', NULL, '{"mode": "scratch"}', 'file:///models/v2', 'digest of v2', NULL, NULL);
INSERT INTO public.model VALUES ('sales', 'v1', '2024-01-31 00:00:00+00', '2024-01-31 00:00:00+00', 'champion', '2024-02-02 03:00:00+00', '{"mode": "scratch"}', 'file:///models/v1', 'digest of v1', '2024-02-01 00:00:00+00', 'the job''s first version');
INSERT INTO public.nightcast_version VALUES ('0001');
INSERT INTO public.promotion VALUES ('sales', 'v2', '2024-02-01 00:00:00+00', 'v1', false, 6, 0.7, 0.8, 0.8, 0.79, 0.13, '{"all": [6.0, 4.2, 4.8, 5.0, 5.0]}', 1, 1.2, 0.8, -0.125, 'all', -0.125, 'wait', 'too early');
INSERT INTO public.publication VALUES ('sales', '2024-01-31 00:00:00+00', 'r1', 6, NULL, '2024-02-01 00:00:00+00', '2024-02-03 00:00:00+00', '2024-02-01 03:00:00+00', 'ddeb236daa31ffcae5b8f2678b72cefc6bdf146e4b758ea4dff940ef915eb952');
INSERT INTO public.publication VALUES ('sales', '2024-02-01 00:00:00+00', 'r1', 6, 'v1', '2024-02-02 00:00:00+00', '2024-02-04 00:00:00+00', '2024-02-01 03:00:00+00', '3d793d23bd86e6c3e9699a5f867dfb637da549e788d5cf43dd3f06927ad44728');
INSERT INTO public.run VALUES ('r1', 'sales', '2024-02-01 00:00:00+00', '2024-02-02 03:00:00+00', '2024-02-02 04:00:00+00', 'completed', 'scratch', 'no champion', 'v1', 60, 2, 0, '{"read": 0.5}', NULL, 'reports/r1.html', 'one missed', 'nightly', NULL);
INSERT INTO public.run VALUES ('r2', 'sales', '2024-02-01 00:00:00+00', '2024-02-02 04:00:00+00', '2024-02-02 04:00:00+00', 'failed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'The disk is full.', NULL, NULL, 'nightly', true);
INSERT INTO public.score VALUES ('sales', '2024-01-31 00:00:00+00', 'all', 0, 'mae', 0.8, 1, 6, 'v1');
INSERT INTO public.score VALUES ('sales', '2024-01-31 00:00:00+00', 'all', 1, 'mae', 0.8, 1, 6, 'v1');
ALTER TABLE ONLY public.alert
    ADD CONSTRAINT alert_pkey PRIMARY KEY (job, segment, signal, opened_at);
ALTER TABLE ONLY public.calibration
    ADD CONSTRAINT calibration_pkey PRIMARY KEY (job, cutoff);
ALTER TABLE ONLY public.forecast
    ADD CONSTRAINT forecast_pkey PRIMARY KEY (job, cutoff, series_id, step);
ALTER TABLE ONLY public.forecast_2024_01
    ADD CONSTRAINT forecast_2024_01_pkey PRIMARY KEY (job, cutoff, series_id, step);
ALTER TABLE ONLY public.forecast_2024_02
    ADD CONSTRAINT forecast_2024_02_pkey PRIMARY KEY (job, cutoff, series_id, step);
ALTER TABLE ONLY public.forecast_2024_03
    ADD CONSTRAINT forecast_2024_03_pkey PRIMARY KEY (job, cutoff, series_id, step);
ALTER TABLE ONLY public.hindcast_loss
    ADD CONSTRAINT hindcast_loss_pkey PRIMARY KEY (job, evaluated_on, segment);
ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (job);
ALTER TABLE ONLY public.loss
    ADD CONSTRAINT loss_pkey PRIMARY KEY (job, evaluated_on, segment);
ALTER TABLE ONLY public.model
    ADD CONSTRAINT model_pkey PRIMARY KEY (job, version);
ALTER TABLE ONLY public.nightcast_version
    ADD CONSTRAINT nightcast_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.promotion
    ADD CONSTRAINT promotion_pkey PRIMARY KEY (job, version, evaluated_on);
ALTER TABLE ONLY public.publication
    ADD CONSTRAINT publication_pkey PRIMARY KEY (job, cutoff);
ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY public.score
    ADD CONSTRAINT score_pkey PRIMARY KEY (job, cutoff, segment, step, metric);
CREATE INDEX ix_run_job ON public.run USING btree (job);
ALTER INDEX public.forecast_pkey ATTACH PARTITION public.forecast_2024_01_pkey;
ALTER INDEX public.forecast_pkey ATTACH PARTITION public.forecast_2024_02_pkey;
ALTER INDEX public.forecast_pkey ATTACH PARTITION public.forecast_2024_03_pkey;
