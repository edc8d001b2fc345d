-- Tables. Times are timestamptz, ids are UUIDv7 made by the Worker, closed sets are text with a check: enum types
-- make the driver ask for their definition on the pooled connection.
set local role snap_owner;

-- People -------------------------------------------------------------------------------------------------------------

create table app.account (
  id uuid primary key,
  email text not null check (email = lower(email) and length(email) between 3 and 254),
  name text not null check (length(name) between 1 and 100),
  created_at timestamptz not null default now(),
  constraint account_email_key unique (email)
);

create table app.password (
  account_id uuid primary key references app.account (id) on delete cascade,
  phc text not null check (phc like '$argon2id$%'),
  updated_at timestamptz not null default now()
);

create table app.session (
  id uuid primary key,
  account_id uuid not null references app.account (id) on delete cascade,
  hash bytea not null check (length(hash) = 32),
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  expires_at timestamptz not null,              -- absolute; idle sessions end before it
  address text,
  user_agent text check (length(user_agent) <= 300),
  constraint session_hash_key unique (hash)
);
create index session_account on app.session (account_id);

create table app.api_token (
  id uuid primary key,
  account_id uuid not null references app.account (id) on delete cascade,
  name text not null check (length(name) between 1 and 100),
  hash bytea not null check (length(hash) = 32),
  last_four text not null check (length(last_four) = 4),
  scope text not null check (scope in ('read', 'write')),
  created_at timestamptz not null default now(),
  last_seen_at timestamptz,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  constraint api_token_hash_key unique (hash)
);
create index api_token_account on app.api_token (account_id);

-- How often somebody tried to sign in lately. Keys are hashes, so that the table tells no address and no e-mail.
create table app.sign_in_throttle (
  key bytea primary key,
  failures int not null,
  window_ends_at timestamptz not null
);

-- Credentials of our own parts. Only hashes; set at deployment.
create table app.service_credential (
  name text primary key check (name in ('gateway', 'jobs')),
  hash bytea not null check (length(hash) = 32),
  constraint service_credential_hash_key unique (hash)
);

-- Organizations ------------------------------------------------------------------------------------------------------

create table app.org (
  id uuid primary key,
  slug text not null check (slug ~ '^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$' and slug !~ '--'),
  name text not null check (length(name) between 1 and 100),
  created_at timestamptz not null default now(),
  constraint org_slug_key unique (slug)
);

create table app.membership (
  org_id uuid not null references app.org (id) on delete cascade,
  account_id uuid not null references app.account (id) on delete cascade,
  role text not null check (role in ('viewer', 'member', 'admin', 'owner')),
  created_at timestamptz not null default now(),
  primary key (org_id, account_id)
);
create index membership_account on app.membership (account_id);

-- Machines -----------------------------------------------------------------------------------------------------------

create table app.machine (
  org_id uuid not null references app.org (id),
  id uuid primary key,
  name text not null check (name ~ '^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$' and name !~ '--'),
  owner_id uuid references app.account (id) on delete set null,
  runtime text not null check (runtime in ('sprites', 'spritehost')),
  size text not null check (length(size) between 1 and 40),
  region text not null check (length(region) between 1 and 40),
  state text not null check (state in ('creating', 'running', 'hibernating', 'hibernated', 'waking', 'stopping',
                                       'stopped', 'failed', 'deleting')),
  reason text not null check (length(reason) <= 500),  -- why it is in this state, for people
  generation int not null default 1 check (generation >= 1),
  epoch bigint not null default 1 check (epoch >= 1),
  app_port int not null default 3000 check (app_port between 1024 and 65535 and app_port <> 8080),
  idle_seconds int not null default 900 check (idle_seconds between 300 and 86400),
  sprite_name text,
  sprite_id text,
  sprite_url text,
  created_at timestamptz not null default now(),
  state_at timestamptz not null default now(),
  constraint machine_in_org unique (org_id, id),
  constraint machine_name_key unique (org_id, name)
);
-- The reconciler's question: whatever is on its way somewhere, oldest first.
create index machine_unfinished on app.machine (state_at)
  where state in ('creating', 'hibernating', 'waking', 'stopping', 'deleting');

create table app.machine_event (
  org_id uuid not null,
  machine_id uuid not null,
  id uuid primary key,
  at timestamptz not null default now(),
  kind text not null check (length(kind) between 1 and 40),
  detail text not null check (length(detail) <= 500),
  actor_id uuid references app.account (id) on delete set null,
  foreign key (org_id, machine_id) references app.machine (org_id, id) on delete cascade
);
create index machine_event_newest on app.machine_event (org_id, machine_id, id desc);

create table app.port (
  org_id uuid not null,
  machine_id uuid not null,
  port int not null check (port between 1024 and 65535 and port <> 8080),
  label text not null check (length(label) <= 60),
  created_at timestamptz not null default now(),
  primary key (org_id, machine_id, port),
  foreign key (org_id, machine_id) references app.machine (org_id, id) on delete cascade
);

create table app.service (
  org_id uuid not null,
  machine_id uuid not null,
  name text not null check (name ~ '^[a-z0-9][a-z0-9_.-]{0,62}$'),
  definition text not null check (length(definition) <= 65536),  -- JSON of protocol's ServiceDefinition
  desired text not null check (desired in ('up', 'down')),
  status text check (length(status) <= 4096),                    -- JSON of protocol's ServiceStatus, as last reported
  created_at timestamptz not null default now(),
  primary key (org_id, machine_id, name),
  foreign key (org_id, machine_id) references app.machine (org_id, id) on delete cascade
);

create table app.terminal_session (
  org_id uuid not null,
  machine_id uuid not null,
  id uuid primary key,
  name text not null check (length(name) between 1 and 60),
  account_id uuid references app.account (id) on delete set null,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  ending text check (length(ending) <= 200),                     -- JSON of protocol's TerminalEnd
  constraint terminal_session_in_machine unique (org_id, machine_id, id),
  foreign key (org_id, machine_id) references app.machine (org_id, id) on delete cascade
);

-- Audit --------------------------------------------------------------------------------------------------------------

-- Append only: the application may insert and, as an admin, read. No foreign keys: the trail outlives what it names.
create table app.audit (
  id uuid primary key default gen_random_uuid(),
  at timestamptz not null default now(),
  org_id uuid,
  account_id uuid,
  credential text not null check (credential in ('none', 'session', 'token', 'service')),
  operation text not null,
  target text not null check (length(target) <= 200),
  status int not null,
  request_id text check (length(request_id) <= 64),
  address text check (length(address) <= 64)
);
create index audit_newest on app.audit (org_id, at desc);
