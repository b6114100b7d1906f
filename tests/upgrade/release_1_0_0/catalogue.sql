SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.catalogue_outbox (
    id smallint NOT NULL,
    lanes smallint NOT NULL,
    CONSTRAINT catalogue_outbox_id_check CHECK ((id >= 0)),
    CONSTRAINT catalogue_outbox_lanes_check CHECK ((lanes >= 0)),
    CONSTRAINT catalogue_outbox_once CHECK ((id = 1))
);
CREATE SEQUENCE public.catalogue_outboxevent_position
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE public.catalogue_outboxevent (
    "position" bigint DEFAULT nextval('public.catalogue_outboxevent_position'::regclass) NOT NULL,
    lane smallint NOT NULL,
    type character varying(100) NOT NULL,
    key character varying(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT catalogue_outboxevent_lane_check CHECK ((lane >= 0))
)
PARTITION BY RANGE ("position");
CREATE TABLE public.catalogue_outboxevent_p0 (
    "position" bigint DEFAULT nextval('public.catalogue_outboxevent_position'::regclass) NOT NULL,
    lane smallint NOT NULL,
    type character varying(100) NOT NULL,
    key character varying(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT catalogue_outboxevent_lane_check CHECK ((lane >= 0)),
    CONSTRAINT catalogue_outboxevent_p0_range CHECK ((("position" >= 0) AND ("position" < 1000000)))
);
CREATE TABLE public.catalogue_outboxevent_p1 (
    "position" bigint DEFAULT nextval('public.catalogue_outboxevent_position'::regclass) NOT NULL,
    lane smallint NOT NULL,
    type character varying(100) NOT NULL,
    key character varying(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT catalogue_outboxevent_lane_check CHECK ((lane >= 0)),
    CONSTRAINT catalogue_outboxevent_p1_range CHECK ((("position" >= 1000000) AND ("position" < 2000000)))
);
CREATE TABLE public.catalogue_outboxevent_p10 (
    "position" bigint DEFAULT nextval('public.catalogue_outboxevent_position'::regclass) NOT NULL,
    lane smallint NOT NULL,
    type character varying(100) NOT NULL,
    key character varying(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT catalogue_outboxevent_lane_check CHECK ((lane >= 0)),
    CONSTRAINT catalogue_outboxevent_p10_range CHECK ((("position" >= 10000000) AND ("position" < 11000000)))
);
CREATE TABLE public.catalogue_outboxevent_p2 (
    "position" bigint DEFAULT nextval('public.catalogue_outboxevent_position'::regclass) NOT NULL,
    lane smallint NOT NULL,
    type character varying(100) NOT NULL,
    key character varying(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT catalogue_outboxevent_lane_check CHECK ((lane >= 0)),
    CONSTRAINT catalogue_outboxevent_p2_range CHECK ((("position" >= 2000000) AND ("position" < 3000000)))
);
CREATE TABLE public.catalogue_outboxevent_p3 (
    "position" bigint DEFAULT nextval('public.catalogue_outboxevent_position'::regclass) NOT NULL,
    lane smallint NOT NULL,
    type character varying(100) NOT NULL,
    key character varying(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT catalogue_outboxevent_lane_check CHECK ((lane >= 0)),
    CONSTRAINT catalogue_outboxevent_p3_range CHECK ((("position" >= 3000000) AND ("position" < 4000000)))
);
CREATE TABLE public.catalogue_outboxevent_p4 (
    "position" bigint DEFAULT nextval('public.catalogue_outboxevent_position'::regclass) NOT NULL,
    lane smallint NOT NULL,
    type character varying(100) NOT NULL,
    key character varying(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT catalogue_outboxevent_lane_check CHECK ((lane >= 0)),
    CONSTRAINT catalogue_outboxevent_p4_range CHECK ((("position" >= 4000000) AND ("position" < 5000000)))
);
CREATE TABLE public.catalogue_outboxevent_p5 (
    "position" bigint DEFAULT nextval('public.catalogue_outboxevent_position'::regclass) NOT NULL,
    lane smallint NOT NULL,
    type character varying(100) NOT NULL,
    key character varying(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT catalogue_outboxevent_lane_check CHECK ((lane >= 0)),
    CONSTRAINT catalogue_outboxevent_p5_range CHECK ((("position" >= 5000000) AND ("position" < 6000000)))
);
CREATE TABLE public.catalogue_outboxevent_p6 (
    "position" bigint DEFAULT nextval('public.catalogue_outboxevent_position'::regclass) NOT NULL,
    lane smallint NOT NULL,
    type character varying(100) NOT NULL,
    key character varying(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT catalogue_outboxevent_lane_check CHECK ((lane >= 0)),
    CONSTRAINT catalogue_outboxevent_p6_range CHECK ((("position" >= 6000000) AND ("position" < 7000000)))
);
CREATE TABLE public.catalogue_outboxevent_p7 (
    "position" bigint DEFAULT nextval('public.catalogue_outboxevent_position'::regclass) NOT NULL,
    lane smallint NOT NULL,
    type character varying(100) NOT NULL,
    key character varying(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT catalogue_outboxevent_lane_check CHECK ((lane >= 0)),
    CONSTRAINT catalogue_outboxevent_p7_range CHECK ((("position" >= 7000000) AND ("position" < 8000000)))
);
CREATE TABLE public.catalogue_outboxevent_p8 (
    "position" bigint DEFAULT nextval('public.catalogue_outboxevent_position'::regclass) NOT NULL,
    lane smallint NOT NULL,
    type character varying(100) NOT NULL,
    key character varying(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT catalogue_outboxevent_lane_check CHECK ((lane >= 0)),
    CONSTRAINT catalogue_outboxevent_p8_range CHECK ((("position" >= 8000000) AND ("position" < 9000000)))
);
CREATE TABLE public.catalogue_outboxevent_p9 (
    "position" bigint DEFAULT nextval('public.catalogue_outboxevent_position'::regclass) NOT NULL,
    lane smallint NOT NULL,
    type character varying(100) NOT NULL,
    key character varying(100) NOT NULL,
    data jsonb NOT NULL,
    headers jsonb NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT catalogue_outboxevent_lane_check CHECK ((lane >= 0)),
    CONSTRAINT catalogue_outboxevent_p9_range CHECK ((("position" >= 9000000) AND ("position" < 10000000)))
);
CREATE TABLE public.catalogue_product (
    sku character varying(64) NOT NULL,
    name character varying(200) NOT NULL,
    description text NOT NULL,
    category character varying(100) NOT NULL,
    attributes jsonb NOT NULL,
    price bigint NOT NULL,
    listed boolean NOT NULL,
    CONSTRAINT catalogue_product_price CHECK ((price <= '10000000000'::bigint)),
    CONSTRAINT catalogue_product_price_check CHECK ((price >= 0)),
    CONSTRAINT catalogue_product_sku CHECK (((sku)::text ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'::text))
);
CREATE TABLE public.catalogue_subscription (
    id bigint NOT NULL,
    consumer character varying(100) NOT NULL,
    lane smallint NOT NULL,
    acknowledged bigint DEFAULT 0 NOT NULL,
    scanned bigint DEFAULT 0 NOT NULL,
    batch uuid,
    after bigint,
    through bigint,
    sent_at timestamp with time zone,
    tries integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    CONSTRAINT catalogue_subscription_lane_check CHECK ((lane >= 0)),
    CONSTRAINT catalogue_subscription_tries_check CHECK ((tries >= 0))
);
ALTER TABLE public.catalogue_subscription ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.catalogue_subscription_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.django_migrations (
    id bigint NOT NULL,
    app character varying(255) NOT NULL,
    name character varying(255) NOT NULL,
    applied timestamp with time zone NOT NULL
);
ALTER TABLE public.django_migrations ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_migrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE ONLY public.catalogue_outboxevent ATTACH PARTITION public.catalogue_outboxevent_p0 FOR VALUES FROM ('0') TO ('1000000');
ALTER TABLE ONLY public.catalogue_outboxevent ATTACH PARTITION public.catalogue_outboxevent_p1 FOR VALUES FROM ('1000000') TO ('2000000');
ALTER TABLE ONLY public.catalogue_outboxevent ATTACH PARTITION public.catalogue_outboxevent_p10 FOR VALUES FROM ('10000000') TO ('11000000');
ALTER TABLE ONLY public.catalogue_outboxevent ATTACH PARTITION public.catalogue_outboxevent_p2 FOR VALUES FROM ('2000000') TO ('3000000');
ALTER TABLE ONLY public.catalogue_outboxevent ATTACH PARTITION public.catalogue_outboxevent_p3 FOR VALUES FROM ('3000000') TO ('4000000');
ALTER TABLE ONLY public.catalogue_outboxevent ATTACH PARTITION public.catalogue_outboxevent_p4 FOR VALUES FROM ('4000000') TO ('5000000');
ALTER TABLE ONLY public.catalogue_outboxevent ATTACH PARTITION public.catalogue_outboxevent_p5 FOR VALUES FROM ('5000000') TO ('6000000');
ALTER TABLE ONLY public.catalogue_outboxevent ATTACH PARTITION public.catalogue_outboxevent_p6 FOR VALUES FROM ('6000000') TO ('7000000');
ALTER TABLE ONLY public.catalogue_outboxevent ATTACH PARTITION public.catalogue_outboxevent_p7 FOR VALUES FROM ('7000000') TO ('8000000');
ALTER TABLE ONLY public.catalogue_outboxevent ATTACH PARTITION public.catalogue_outboxevent_p8 FOR VALUES FROM ('8000000') TO ('9000000');
ALTER TABLE ONLY public.catalogue_outboxevent ATTACH PARTITION public.catalogue_outboxevent_p9 FOR VALUES FROM ('9000000') TO ('10000000');
INSERT INTO public.catalogue_outbox VALUES
	(1, 4);
INSERT INTO public.catalogue_outboxevent_p0 VALUES
	(1, 1, 'catalogue.product-added', 'phone', '{"sku": "phone", "name": "Phone", "price": 29900, "listed": true, "category": "things"}', '{}', '2026-11-24 22:21:01.682576+00'),
	(2, 0, 'catalogue.product-added', 'case', '{"sku": "case", "name": "Case", "price": 900, "listed": true, "category": "things"}', '{}', '2026-11-24 22:21:01.71957+00'),
	(3, 2, 'catalogue.product-added', 'lamp', '{"sku": "lamp", "name": "Lamp", "price": 4900, "listed": true, "category": "things"}', '{}', '2026-11-24 22:21:01.764984+00'),
	(4, 1, 'catalogue.product-changed', 'phone', '{"sku": "phone", "name": "Phone", "price": 31900, "listed": true, "category": "things"}', '{}', '2026-11-24 22:21:10.959402+00'),
	(5, 1, 'catalogue.product-added', 'mug', '{"sku": "mug", "name": "Mug", "price": 1500, "listed": true, "category": "things"}', '{}', '2026-11-24 22:21:10.979614+00'),
	(6, 2, 'catalogue.product-delisted', 'lamp', '{"sku": "lamp"}', '{}', '2026-11-24 22:21:11.002525+00');
INSERT INTO public.catalogue_product VALUES
	('case', 'Case', '', 'things', '{}', 900, true),
	('phone', 'Phone', '', 'things', '{}', 31900, true),
	('mug', 'Mug', '', 'things', '{}', 1500, true),
	('lamp', 'Lamp', '', 'things', '{}', 4900, false);
INSERT INTO public.catalogue_subscription VALUES
	(1, 'orders', 0, 2, 2, NULL, NULL, NULL, NULL, 0, '2026-11-24 22:21:18.915612+00'),
	(2, 'orders', 1, 1, 1, NULL, NULL, NULL, NULL, 0, '2026-11-24 22:21:18.935465+00'),
	(3, 'orders', 2, 3, 3, NULL, NULL, NULL, NULL, 0, '2026-11-24 22:21:18.952372+00'),
	(4, 'orders', 3, 0, 0, NULL, NULL, NULL, NULL, 0, '2026-11-24 22:21:18.964604+00'),
	(5, 'inventory', 0, 2, 2, NULL, NULL, NULL, NULL, 0, '2026-11-24 22:21:19.004783+00'),
	(6, 'inventory', 1, 1, 1, NULL, NULL, NULL, NULL, 0, '2026-11-24 22:21:19.046728+00'),
	(7, 'inventory', 2, 3, 3, NULL, NULL, NULL, NULL, 0, '2026-11-24 22:21:19.073188+00'),
	(8, 'inventory', 3, 0, 0, NULL, NULL, NULL, NULL, 0, '2026-11-24 22:21:19.101019+00');
INSERT INTO public.django_migrations VALUES
	(1, 'contenttypes', '0001_initial', '2026-11-24 22:20:57.000366+00'),
	(2, 'auth', '0001_initial', '2026-11-24 22:20:57.039964+00'),
	(3, 'admin', '0001_initial', '2026-11-24 22:20:57.061556+00'),
	(4, 'admin', '0002_logentry_remove_auto_add', '2026-11-24 22:20:57.095208+00'),
	(5, 'admin', '0003_logentry_add_action_flag_choices', '2026-11-24 22:20:57.147496+00'),
	(6, 'contenttypes', '0002_remove_content_type_name', '2026-11-24 22:20:57.193815+00'),
	(7, 'auth', '0002_alter_permission_name_max_length', '2026-11-24 22:20:57.242075+00'),
	(8, 'auth', '0003_alter_user_email_max_length', '2026-11-24 22:20:57.276395+00'),
	(9, 'auth', '0004_alter_user_username_opts', '2026-11-24 22:20:57.298761+00'),
	(10, 'auth', '0005_alter_user_last_login_null', '2026-11-24 22:20:57.317207+00'),
	(11, 'auth', '0006_require_contenttypes_0002', '2026-11-24 22:20:57.326623+00'),
	(12, 'auth', '0007_alter_validators_add_error_messages', '2026-11-24 22:20:57.339842+00'),
	(13, 'auth', '0008_alter_user_username_max_length', '2026-11-24 22:20:57.369493+00'),
	(14, 'auth', '0009_alter_user_last_name_max_length', '2026-11-24 22:20:57.421261+00'),
	(15, 'auth', '0010_alter_group_name_max_length', '2026-11-24 22:20:57.455973+00'),
	(16, 'auth', '0011_update_proxy_permissions', '2026-11-24 22:20:57.462981+00'),
	(17, 'auth', '0012_alter_user_first_name_max_length', '2026-11-24 22:20:57.485273+00'),
	(18, 'authtoken', '0001_initial', '2026-11-24 22:20:57.521179+00'),
	(19, 'authtoken', '0002_auto_20160226_1747', '2026-11-24 22:20:57.667998+00'),
	(20, 'authtoken', '0003_tokenproxy', '2026-11-24 22:20:57.684304+00'),
	(21, 'authtoken', '0004_alter_tokenproxy_options', '2026-11-24 22:20:57.705922+00'),
	(22, 'catalogue', '0001_initial', '2026-11-24 22:20:58.075673+00'),
	(23, 'inventory', '0001_initial', '2026-11-24 22:20:58.119962+00'),
	(24, 'members', '0001_initial', '2026-11-24 22:20:58.146816+00'),
	(25, 'orders', '0001_initial', '2026-11-24 22:20:58.181337+00'),
	(26, 'readmodel', '0001_initial', '2026-11-24 22:20:58.207772+00'),
	(27, 'sessions', '0001_initial', '2026-11-24 22:20:58.216166+00');
SELECT pg_catalog.setval('public.catalogue_outboxevent_position', 6, true);
SELECT pg_catalog.setval('public.catalogue_subscription_id_seq', 8, true);
SELECT pg_catalog.setval('public.django_migrations_id_seq', 27, true);
ALTER TABLE ONLY public.catalogue_outbox
    ADD CONSTRAINT catalogue_outbox_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.catalogue_outboxevent
    ADD CONSTRAINT catalogue_outboxevent_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.catalogue_outboxevent_p0
    ADD CONSTRAINT catalogue_outboxevent_p0_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.catalogue_outboxevent_p10
    ADD CONSTRAINT catalogue_outboxevent_p10_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.catalogue_outboxevent_p1
    ADD CONSTRAINT catalogue_outboxevent_p1_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.catalogue_outboxevent_p2
    ADD CONSTRAINT catalogue_outboxevent_p2_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.catalogue_outboxevent_p3
    ADD CONSTRAINT catalogue_outboxevent_p3_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.catalogue_outboxevent_p4
    ADD CONSTRAINT catalogue_outboxevent_p4_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.catalogue_outboxevent_p5
    ADD CONSTRAINT catalogue_outboxevent_p5_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.catalogue_outboxevent_p6
    ADD CONSTRAINT catalogue_outboxevent_p6_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.catalogue_outboxevent_p7
    ADD CONSTRAINT catalogue_outboxevent_p7_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.catalogue_outboxevent_p8
    ADD CONSTRAINT catalogue_outboxevent_p8_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.catalogue_outboxevent_p9
    ADD CONSTRAINT catalogue_outboxevent_p9_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY public.catalogue_product
    ADD CONSTRAINT catalogue_product_pkey PRIMARY KEY (sku);
ALTER TABLE ONLY public.catalogue_subscription
    ADD CONSTRAINT catalogue_subscription_lane UNIQUE (consumer, lane);
ALTER TABLE ONLY public.catalogue_subscription
    ADD CONSTRAINT catalogue_subscription_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.django_migrations
    ADD CONSTRAINT django_migrations_pkey PRIMARY KEY (id);
CREATE INDEX catalogue_outboxevent_key ON ONLY public.catalogue_outboxevent USING btree (key, "position");
CREATE INDEX catalogue_outboxevent_lane ON ONLY public.catalogue_outboxevent USING btree (lane, "position");
CREATE INDEX catalogue_outboxevent_p0_key_position_idx ON public.catalogue_outboxevent_p0 USING btree (key, "position");
CREATE INDEX catalogue_outboxevent_p0_lane_position_idx ON public.catalogue_outboxevent_p0 USING btree (lane, "position");
CREATE INDEX catalogue_outboxevent_p10_key_position_idx ON public.catalogue_outboxevent_p10 USING btree (key, "position");
CREATE INDEX catalogue_outboxevent_p10_lane_position_idx ON public.catalogue_outboxevent_p10 USING btree (lane, "position");
CREATE INDEX catalogue_outboxevent_p1_key_position_idx ON public.catalogue_outboxevent_p1 USING btree (key, "position");
CREATE INDEX catalogue_outboxevent_p1_lane_position_idx ON public.catalogue_outboxevent_p1 USING btree (lane, "position");
CREATE INDEX catalogue_outboxevent_p2_key_position_idx ON public.catalogue_outboxevent_p2 USING btree (key, "position");
CREATE INDEX catalogue_outboxevent_p2_lane_position_idx ON public.catalogue_outboxevent_p2 USING btree (lane, "position");
CREATE INDEX catalogue_outboxevent_p3_key_position_idx ON public.catalogue_outboxevent_p3 USING btree (key, "position");
CREATE INDEX catalogue_outboxevent_p3_lane_position_idx ON public.catalogue_outboxevent_p3 USING btree (lane, "position");
CREATE INDEX catalogue_outboxevent_p4_key_position_idx ON public.catalogue_outboxevent_p4 USING btree (key, "position");
CREATE INDEX catalogue_outboxevent_p4_lane_position_idx ON public.catalogue_outboxevent_p4 USING btree (lane, "position");
CREATE INDEX catalogue_outboxevent_p5_key_position_idx ON public.catalogue_outboxevent_p5 USING btree (key, "position");
CREATE INDEX catalogue_outboxevent_p5_lane_position_idx ON public.catalogue_outboxevent_p5 USING btree (lane, "position");
CREATE INDEX catalogue_outboxevent_p6_key_position_idx ON public.catalogue_outboxevent_p6 USING btree (key, "position");
CREATE INDEX catalogue_outboxevent_p6_lane_position_idx ON public.catalogue_outboxevent_p6 USING btree (lane, "position");
CREATE INDEX catalogue_outboxevent_p7_key_position_idx ON public.catalogue_outboxevent_p7 USING btree (key, "position");
CREATE INDEX catalogue_outboxevent_p7_lane_position_idx ON public.catalogue_outboxevent_p7 USING btree (lane, "position");
CREATE INDEX catalogue_outboxevent_p8_key_position_idx ON public.catalogue_outboxevent_p8 USING btree (key, "position");
CREATE INDEX catalogue_outboxevent_p8_lane_position_idx ON public.catalogue_outboxevent_p8 USING btree (lane, "position");
CREATE INDEX catalogue_outboxevent_p9_key_position_idx ON public.catalogue_outboxevent_p9 USING btree (key, "position");
CREATE INDEX catalogue_outboxevent_p9_lane_position_idx ON public.catalogue_outboxevent_p9 USING btree (lane, "position");
CREATE INDEX catalogue_product_category_c775b59a ON public.catalogue_product USING btree (category);
CREATE INDEX catalogue_product_category_c775b59a_like ON public.catalogue_product USING btree (category varchar_pattern_ops);
CREATE INDEX catalogue_product_sku_df1c7a4d_like ON public.catalogue_product USING btree (sku varchar_pattern_ops);
ALTER INDEX public.catalogue_outboxevent_key ATTACH PARTITION public.catalogue_outboxevent_p0_key_position_idx;
ALTER INDEX public.catalogue_outboxevent_lane ATTACH PARTITION public.catalogue_outboxevent_p0_lane_position_idx;
ALTER INDEX public.catalogue_outboxevent_pkey ATTACH PARTITION public.catalogue_outboxevent_p0_pkey;
ALTER INDEX public.catalogue_outboxevent_key ATTACH PARTITION public.catalogue_outboxevent_p10_key_position_idx;
ALTER INDEX public.catalogue_outboxevent_lane ATTACH PARTITION public.catalogue_outboxevent_p10_lane_position_idx;
ALTER INDEX public.catalogue_outboxevent_pkey ATTACH PARTITION public.catalogue_outboxevent_p10_pkey;
ALTER INDEX public.catalogue_outboxevent_key ATTACH PARTITION public.catalogue_outboxevent_p1_key_position_idx;
ALTER INDEX public.catalogue_outboxevent_lane ATTACH PARTITION public.catalogue_outboxevent_p1_lane_position_idx;
ALTER INDEX public.catalogue_outboxevent_pkey ATTACH PARTITION public.catalogue_outboxevent_p1_pkey;
ALTER INDEX public.catalogue_outboxevent_key ATTACH PARTITION public.catalogue_outboxevent_p2_key_position_idx;
ALTER INDEX public.catalogue_outboxevent_lane ATTACH PARTITION public.catalogue_outboxevent_p2_lane_position_idx;
ALTER INDEX public.catalogue_outboxevent_pkey ATTACH PARTITION public.catalogue_outboxevent_p2_pkey;
ALTER INDEX public.catalogue_outboxevent_key ATTACH PARTITION public.catalogue_outboxevent_p3_key_position_idx;
ALTER INDEX public.catalogue_outboxevent_lane ATTACH PARTITION public.catalogue_outboxevent_p3_lane_position_idx;
ALTER INDEX public.catalogue_outboxevent_pkey ATTACH PARTITION public.catalogue_outboxevent_p3_pkey;
ALTER INDEX public.catalogue_outboxevent_key ATTACH PARTITION public.catalogue_outboxevent_p4_key_position_idx;
ALTER INDEX public.catalogue_outboxevent_lane ATTACH PARTITION public.catalogue_outboxevent_p4_lane_position_idx;
ALTER INDEX public.catalogue_outboxevent_pkey ATTACH PARTITION public.catalogue_outboxevent_p4_pkey;
ALTER INDEX public.catalogue_outboxevent_key ATTACH PARTITION public.catalogue_outboxevent_p5_key_position_idx;
ALTER INDEX public.catalogue_outboxevent_lane ATTACH PARTITION public.catalogue_outboxevent_p5_lane_position_idx;
ALTER INDEX public.catalogue_outboxevent_pkey ATTACH PARTITION public.catalogue_outboxevent_p5_pkey;
ALTER INDEX public.catalogue_outboxevent_key ATTACH PARTITION public.catalogue_outboxevent_p6_key_position_idx;
ALTER INDEX public.catalogue_outboxevent_lane ATTACH PARTITION public.catalogue_outboxevent_p6_lane_position_idx;
ALTER INDEX public.catalogue_outboxevent_pkey ATTACH PARTITION public.catalogue_outboxevent_p6_pkey;
ALTER INDEX public.catalogue_outboxevent_key ATTACH PARTITION public.catalogue_outboxevent_p7_key_position_idx;
ALTER INDEX public.catalogue_outboxevent_lane ATTACH PARTITION public.catalogue_outboxevent_p7_lane_position_idx;
ALTER INDEX public.catalogue_outboxevent_pkey ATTACH PARTITION public.catalogue_outboxevent_p7_pkey;
ALTER INDEX public.catalogue_outboxevent_key ATTACH PARTITION public.catalogue_outboxevent_p8_key_position_idx;
ALTER INDEX public.catalogue_outboxevent_lane ATTACH PARTITION public.catalogue_outboxevent_p8_lane_position_idx;
ALTER INDEX public.catalogue_outboxevent_pkey ATTACH PARTITION public.catalogue_outboxevent_p8_pkey;
ALTER INDEX public.catalogue_outboxevent_key ATTACH PARTITION public.catalogue_outboxevent_p9_key_position_idx;
ALTER INDEX public.catalogue_outboxevent_lane ATTACH PARTITION public.catalogue_outboxevent_p9_lane_position_idx;
ALTER INDEX public.catalogue_outboxevent_pkey ATTACH PARTITION public.catalogue_outboxevent_p9_pkey;
