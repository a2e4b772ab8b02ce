BEGIN TRANSACTION;
CREATE TABLE alert (
	job TEXT NOT NULL, 
	segment TEXT NOT NULL, 
	signal TEXT NOT NULL, 
	opened_at DATETIME NOT NULL, 
	onset DATETIME, 
	effect DOUBLE, 
	state TEXT NOT NULL, 
	message TEXT, 
	last_sent_at DATETIME, 
	acknowledged_by TEXT, 
	acknowledged_at DATETIME, 
	closed_at DATETIME, 
	run_id TEXT, 
	reason TEXT, 
	delivery_errors JSON, 
	message_id TEXT, 
	accepted_at DATETIME, 
	PRIMARY KEY (job, segment, signal, opened_at)
);
INSERT INTO "alert" VALUES('sales','all','loss','2024-02-01 00:00:00.000000','2024-01-31 00:00:00.000000',0.4,'closed','sales, all: loss 40% worse','2024-02-02 03:00:00.000000','ana','2024-02-02 04:00:00.000000','2024-02-01 00:00:00.000000','r1','the source is stale','{"webhook": "it answered 500"}','5b1d7c1e-3f0a-5c58-9d57-6f2a8f0c9a11','2024-02-02 04:00:00.000000');
CREATE TABLE calibration (
	job TEXT NOT NULL, 
	cutoff DATETIME NOT NULL, 
	applied_calibration BLOB, 
	coverage_evidence BLOB, 
	PRIMARY KEY (job, cutoff)
);
INSERT INTO "calibration" VALUES('sales','2024-02-01 00:00:00.000000',X'504B0304',X'504B0506');
CREATE TABLE forecast (
	job TEXT NOT NULL, 
	cutoff DATETIME NOT NULL, 
	series_id TEXT NOT NULL, 
	step INTEGER NOT NULL, 
	timestamp DATETIME NOT NULL, 
	mean DOUBLE, 
	median DOUBLE, 
	baseline DOUBLE, 
	model_version TEXT, 
	source TEXT NOT NULL, 
	reason TEXT, 
	run_id TEXT NOT NULL, 
	created_at DATETIME NOT NULL, q0_1 DOUBLE PRECISION, q0_9 DOUBLE PRECISION, 
	PRIMARY KEY (job, cutoff, series_id, step)
)
 WITHOUT ROWID

;
INSERT INTO "forecast" VALUES('sales','2024-01-31 00:00:00.000000','s000000',1,'2024-02-01 00:00:00.000000',1.0,1.0,NULL,NULL,'fallback','too short','r1','2024-02-01 03:00:00.000000',1.0,1.0);
INSERT INTO "forecast" VALUES('sales','2024-01-31 00:00:00.000000','s000000',2,'2024-02-02 00:00:00.000000',1.0,1.0,NULL,NULL,'fallback','too short','r1','2024-02-01 03:00:00.000000',1.0,1.0);
INSERT INTO "forecast" VALUES('sales','2024-01-31 00:00:00.000000','s000000',3,'2024-02-03 00:00:00.000000',1.0,1.0,NULL,NULL,'fallback','too short','r1','2024-02-01 03:00:00.000000',1.0,1.0);
INSERT INTO "forecast" VALUES('sales','2024-01-31 00:00:00.000000','s000001',1,'2024-02-01 00:00:00.000000',1.0,1.0,NULL,NULL,'fallback','too short','r1','2024-02-01 03:00:00.000000',1.0,1.0);
INSERT INTO "forecast" VALUES('sales','2024-01-31 00:00:00.000000','s000001',2,'2024-02-02 00:00:00.000000',1.0,1.0,NULL,NULL,'fallback','too short','r1','2024-02-01 03:00:00.000000',1.0,1.0);
INSERT INTO "forecast" VALUES('sales','2024-01-31 00:00:00.000000','s000001',3,'2024-02-03 00:00:00.000000',1.0,1.0,NULL,NULL,'fallback','too short','r1','2024-02-01 03:00:00.000000',1.0,1.0);
INSERT INTO "forecast" VALUES('sales','2024-02-01 00:00:00.000000','s000000',1,'2024-02-02 00:00:00.000000',2.0,2.0,1.5,'v1','model',NULL,'r1','2024-02-01 03:00:00.000000',2.0,2.0);
INSERT INTO "forecast" VALUES('sales','2024-02-01 00:00:00.000000','s000000',2,'2024-02-03 00:00:00.000000',2.0,2.0,1.5,'v1','model',NULL,'r1','2024-02-01 03:00:00.000000',2.0,2.0);
INSERT INTO "forecast" VALUES('sales','2024-02-01 00:00:00.000000','s000000',3,'2024-02-04 00:00:00.000000',2.0,2.0,1.5,'v1','model',NULL,'r1','2024-02-01 03:00:00.000000',2.0,2.0);
INSERT INTO "forecast" VALUES('sales','2024-02-01 00:00:00.000000','s000001',1,'2024-02-02 00:00:00.000000',2.0,2.0,1.5,'v1','model',NULL,'r1','2024-02-01 03:00:00.000000',2.0,2.0);
INSERT INTO "forecast" VALUES('sales','2024-02-01 00:00:00.000000','s000001',2,'2024-02-03 00:00:00.000000',2.0,2.0,1.5,'v1','model',NULL,'r1','2024-02-01 03:00:00.000000',2.0,2.0);
INSERT INTO "forecast" VALUES('sales','2024-02-01 00:00:00.000000','s000001',3,'2024-02-04 00:00:00.000000',2.0,2.0,1.5,'v1','model',NULL,'r1','2024-02-01 03:00:00.000000',2.0,2.0);
CREATE TABLE hindcast_loss (
	job TEXT NOT NULL, 
	evaluated_on DATETIME NOT NULL, 
	segment TEXT NOT NULL, 
	model_version TEXT, 
	in_sample BOOLEAN NOT NULL, 
	loss DOUBLE, 
	baseline_loss DOUBLE, 
	coverage DOUBLE, 
	bias DOUBLE, 
	n BIGINT, 
	instability DOUBLE, 
	special_definition TEXT, 
	special_n BIGINT, 
	special_loss DOUBLE, 
	special_baseline_loss DOUBLE, 
	PRIMARY KEY (job, evaluated_on, segment)
);
INSERT INTO "hindcast_loss" VALUES('sales','2024-02-01 00:00:00.000000','all','v1',0,0.8,1.0,0.79,-0.02,6,0.1,'{"columns": ["promotion"], "left_out": [], "holidays": ["ES"]}',2,0.9,1.4);
CREATE TABLE job (
	job TEXT NOT NULL, 
	file TEXT NOT NULL, 
	machine TEXT NOT NULL, 
	url TEXT NOT NULL, 
	address TEXT NOT NULL, 
	relation TEXT NOT NULL, 
	output TEXT NOT NULL, 
	since DATETIME NOT NULL, 
	PRIMARY KEY (job)
);
INSERT INTO "job" VALUES('sales','/jobs/sales.yaml','night','${SOURCE}','sqlite:////data/history.db','table sold','sqlite:////data/forecasts.db','2024-02-02 03:00:00.000000');
CREATE TABLE loss (
	job TEXT NOT NULL, 
	evaluated_on DATETIME NOT NULL, 
	segment TEXT NOT NULL, 
	metric TEXT, 
	loss DOUBLE, 
	baseline_loss DOUBLE, 
	coverage DOUBLE, 
	bias DOUBLE, 
	n BIGINT, 
	instability DOUBLE, 
	special_definition TEXT, 
	special_n BIGINT, 
	special_loss DOUBLE, 
	special_baseline_loss DOUBLE, 
	statistic DOUBLE, 
	threshold DOUBLE, 
	effect DOUBLE, 
	onset DATETIME, 
	state TEXT NOT NULL, 
	run_id TEXT, 
	detectable_effect DOUBLE, 
	reason TEXT, 
	other_signals JSON, 
	PRIMARY KEY (job, evaluated_on, segment)
);
INSERT INTO "loss" VALUES('sales','2024-02-01 00:00:00.000000','all','loss',0.8,1.0,0.79,-0.02,6,0.1,'{"columns": ["promotion"], "left_out": [], "holidays": ["ES"]}',2,0.9,1.4,0.3,1.0,0.01,'2024-01-31 00:00:00.000000','degraded','r1',0.1,'worse than usual','{"bias": {"state": "ok", "statistic": 0.3, "effect": 0.01, "onset": null, "detectable_effect": 0.1, "reason": ""}, "coverage": {"state": "ok", "statistic": 0.3, "effect": 0.01, "onset": null, "detectable_effect": 0.1, "reason": ""}, "instability": {"state": "ok", "statistic": 0.3, "effect": 0.01, "onset": null, "detectable_effect": 0.1, "reason": ""}}');
CREATE TABLE model (
	job TEXT NOT NULL, 
	version TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	trained_until DATETIME NOT NULL, 
	stage TEXT NOT NULL, 
	promoted_at DATETIME, 
	metrics JSON NOT NULL, 
	uri TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	served_from DATETIME, 
	reason TEXT, 
	PRIMARY KEY (job, version)
);
INSERT INTO "model" VALUES('sales','v1','2024-01-31 00:00:00.000000','2024-01-31 00:00:00.000000','champion','2024-02-02 03:00:00.000000','{"mode": "scratch"}','file:///models/v1','digest of v1','2024-02-01 00:00:00.000000','the job''s first version');
INSERT INTO "model" VALUES('sales','v2','2024-01-31 00:00:00.000000','2024-01-31 00:00:00.000000','challenger',NULL,'{"mode": "scratch"}','file:///models/v2','digest of v2',NULL,NULL);
CREATE TABLE nightcast_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT nightcast_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "nightcast_version" VALUES('0001');
CREATE TABLE promotion (
	job TEXT NOT NULL, 
	version TEXT NOT NULL, 
	evaluated_on DATETIME NOT NULL, 
	champion_version TEXT NOT NULL, 
	held_out BOOLEAN NOT NULL, 
	n BIGINT NOT NULL, 
	loss DOUBLE, 
	champion_loss DOUBLE, 
	coverage DOUBLE, 
	champion_coverage DOUBLE, 
	log_ratio DOUBLE, 
	segment_sums JSON, 
	nights INTEGER NOT NULL, 
	e_value DOUBLE NOT NULL, 
	champion_e_value DOUBLE NOT NULL, 
	effect DOUBLE, 
	worst_segment TEXT, 
	worst_effect DOUBLE, 
	action TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (job, version, evaluated_on)
);
INSERT INTO "promotion" VALUES('sales','v2','2024-02-01 00:00:00.000000','v1',0,6,0.7,0.8,0.8,0.79,0.13,'{"all": [6.0, 4.2, 4.8, 5.0, 5.0]}',1,1.2,0.8,-0.125,'all',-0.125,'wait','too early');
CREATE TABLE publication (
	job TEXT NOT NULL, 
	cutoff DATETIME NOT NULL, 
	run_id TEXT NOT NULL, 
	rows BIGINT NOT NULL, 
	model_version TEXT, 
	first_timestamp DATETIME NOT NULL, 
	last_timestamp DATETIME NOT NULL, 
	published_at DATETIME NOT NULL, 
	digest TEXT, 
	PRIMARY KEY (job, cutoff)
);
INSERT INTO "publication" VALUES('sales','2024-01-31 00:00:00.000000','r1',6,NULL,'2024-02-01 00:00:00.000000','2024-02-03 00:00:00.000000','2024-02-01 03:00:00.000000','ddeb236daa31ffcae5b8f2678b72cefc6bdf146e4b758ea4dff940ef915eb952');
INSERT INTO "publication" VALUES('sales','2024-02-01 00:00:00.000000','r1',6,'v1','2024-02-02 00:00:00.000000','2024-02-04 00:00:00.000000','2024-02-01 03:00:00.000000','3d793d23bd86e6c3e9699a5f867dfb637da549e788d5cf43dd3f06927ad44728');
CREATE TABLE run (
	run_id TEXT NOT NULL, 
	job TEXT NOT NULL, 
	cutoff DATETIME NOT NULL, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	state TEXT NOT NULL, 
	train_mode TEXT, 
	train_reason TEXT, 
	model_version TEXT, 
	rows_read BIGINT, 
	series BIGINT, 
	fallback_series BIGINT, 
	seconds JSON, 
	error TEXT, 
	report TEXT, 
	note TEXT, 
	kind TEXT, 
	publishing BOOLEAN, 
	PRIMARY KEY (run_id)
);
INSERT INTO "run" VALUES('r1','sales','2024-02-01 00:00:00.000000','2024-02-02 03:00:00.000000','2024-02-02 04:00:00.000000','completed','scratch','no champion','v1',60,2,0,'{"read": 0.5}',NULL,'reports/r1.html','one missed','nightly',NULL);
INSERT INTO "run" VALUES('r2','sales','2024-02-01 00:00:00.000000','2024-02-02 04:00:00.000000','2024-02-02 04:00:00.000000','failed',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'The disk is full.',NULL,NULL,'nightly',1);
CREATE TABLE score (
	job TEXT NOT NULL, 
	cutoff DATETIME NOT NULL, 
	segment TEXT NOT NULL, 
	step INTEGER NOT NULL, 
	metric TEXT NOT NULL, 
	value DOUBLE, 
	baseline_value DOUBLE, 
	n BIGINT NOT NULL, 
	model_version TEXT, 
	PRIMARY KEY (job, cutoff, segment, step, metric)
);
INSERT INTO "score" VALUES('sales','2024-01-31 00:00:00.000000','all',0,'mae',0.8,1.0,6,'v1');
INSERT INTO "score" VALUES('sales','2024-01-31 00:00:00.000000','all',1,'mae',0.8,1.0,6,'v1');
CREATE INDEX ix_run_job ON run (job);
CREATE VIEW latest_forecast AS SELECT f.job, f.cutoff, f.series_id, f.step, f.timestamp, f.mean, f.median, f.baseline, f.model_version, f.source, f.reason, f.run_id, f.created_at, f.q0_1, f.q0_9 FROM forecast f JOIN (SELECT job, MAX(cutoff) AS cutoff FROM publication GROUP BY job) p ON p.job = f.job AND p.cutoff = f.cutoff;
COMMIT;
