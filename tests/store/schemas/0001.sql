BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE happenings (
	run_id TEXT NOT NULL, 
	seq INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	time FLOAT NOT NULL, 
	step INTEGER NOT NULL, 
	values_json TEXT NOT NULL, 
	PRIMARY KEY (run_id, seq), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "happenings" VALUES('20260102-030405-old',1,'note',1.0,0,'{"level":"info","text":"1,234 parameters learn"}');
CREATE TABLE leases (
	device TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	acquired_at FLOAT NOT NULL, 
	PRIMARY KEY (device), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "leases" VALUES('cuda:1','20260102-030405-old',1767323046.0);
CREATE TABLE metrics (
	run_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	seq INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	value FLOAT, 
	PRIMARY KEY (run_id, "key", seq), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "metrics" VALUES('20260102-030405-old','loss',2,1,2.5);
INSERT INTO "metrics" VALUES('20260102-030405-old','loss',3,2,NULL);
INSERT INTO "metrics" VALUES('20260102-030405-old','loss',4,40,0.25);
CREATE TABLE runs (
	id TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	hint TEXT DEFAULT '' NOT NULL, 
	notes TEXT DEFAULT '' NOT NULL, 
	spec_json TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	started_at FLOAT, 
	ended_at FLOAT, 
	step INTEGER DEFAULT '0' NOT NULL, 
	total_steps INTEGER DEFAULT '0' NOT NULL, 
	seconds_left FLOAT, 
	phase TEXT DEFAULT '' NOT NULL, 
	metrics_json TEXT DEFAULT '{}' NOT NULL, 
	devices_json TEXT DEFAULT '[]' NOT NULL, 
	port INTEGER, 
	events_device INTEGER, 
	events_inode INTEGER, 
	events_offset INTEGER DEFAULT '0' NOT NULL, 
	events_epoch INTEGER DEFAULT '0' NOT NULL, 
	bad_lines INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (number)
);
INSERT INTO "runs" VALUES('20260102-030405-old',1,'An old run','sft','running','','','what I thought','{"kind":"sft","name":"An old run","recipe":"","resumed_from":"","data":{"datasets":[],"max_tokens":2048,"too_long":"skip","boxes":"as_written","seed":42},"model":{"base":"demo","min_pixels":3136,"max_pixels":451584,"precision":"auto"},"strategy":{"name":"lora","lora_rank":16,"lora_alpha":32,"lora_dropout":0.0,"lora_vision":false,"dora":false,"rslora":false},"optimiser":{"epochs":3.0,"max_steps":0,"language_rate":null,"merger_rate":null,"vision_rate":null,"schedule":"cosine","warmup_ratio":0.03,"weight_decay":0.0,"max_grad_norm":1.0},"batching":{"batch_size":8,"accumulation_steps":1,"max_tokens":0,"packing":true,"gradient_checkpointing":false},"grpo":{"rewards":[],"generations":8,"temperature":1.0,"top_p":1.0,"top_k":0,"repetition_penalty":1.0,"max_completion_tokens":256,"loss":"dapo","importance_sampling":"token","scale_rewards":"group","aggregation":"sum_then_normalize","epsilon":0.2,"epsilon_high":0.28,"delta":0.0,"beta":0.0,"iterations":1,"reuse":1,"mask_truncated":false,"top_entropy":1.0,"entropy_bonus":0.0,"vllm":"off","reward_seconds":30.0,"reward_memory_gb":8.0,"failed_batches":5,"check_rows":8},"evaluation":{"rows":64,"every_steps":0,"max_new_tokens":64,"metric":"exact_match","own_metrics":[],"patience":0},"comparison":{"check":"quality","contestants":[],"split":"heldout","limit":0,"metrics":[],"batch_size":16,"max_new_tokens":128},"saving":{"every_steps":0,"every_minutes":10.0,"keep":3,"final":"last"},"reporting":{"wandb":"off","project":"vl-studio"},"devices":{"gpus":[],"processes":1,"threads":0,"zero_stage":0,"offload_optimizer":false,"offload_parameters":false,"deepspeed":{}}}',1767323045.0,1767323046.0,NULL,40,40,NULL,'training','{"loss":0.25}','["cuda:1"]',29501,1,1,484,0,0);
CREATE INDEX runs_by_state ON runs (state);
COMMIT;
