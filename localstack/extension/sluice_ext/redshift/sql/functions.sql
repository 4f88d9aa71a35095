-- Functions of Redshift that PostgreSQL does not have, or has with another meaning.
-- https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_functions.html
GRANT USAGE ON SCHEMA redshift_compat TO PUBLIC;
SET LOCAL search_path = redshift_compat;
SET LOCAL client_min_messages = warning;

CREATE OR REPLACE FUNCTION version() RETURNS text IMMUTABLE LANGUAGE sql RETURN
    'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.77467'::text;

-- Dates and times. GETDATE is the statement's start in whole seconds, SYSDATE the transaction's.
CREATE OR REPLACE FUNCTION getdate() RETURNS timestamp STABLE LANGUAGE sql RETURN
    date_trunc('second', statement_timestamp() AT TIME ZONE current_setting('TimeZone'));
CREATE OR REPLACE FUNCTION sysdate() RETURNS timestamp STABLE LANGUAGE sql RETURN
    transaction_timestamp() AT TIME ZONE current_setting('TimeZone');
CREATE OR REPLACE FUNCTION timeofday() RETURNS text VOLATILE LANGUAGE sql RETURN pg_catalog.timeofday();

-- https://docs.aws.amazon.com/redshift/latest/dg/r_Dateparts_for_datetime_functions.html
CREATE OR REPLACE FUNCTION part(name text) RETURNS text IMMUTABLE STRICT LANGUAGE plpgsql AS $body$
BEGIN
    RETURN CASE lower(name)
        WHEN 'millennium' THEN 'millennium' WHEN 'millennia' THEN 'millennium' WHEN 'mil' THEN 'millennium'
        WHEN 'mils' THEN 'millennium'
        WHEN 'century' THEN 'century' WHEN 'centuries' THEN 'century' WHEN 'c' THEN 'century' WHEN 'cent' THEN 'century'
        WHEN 'cents' THEN 'century'
        WHEN 'decade' THEN 'decade' WHEN 'decades' THEN 'decade' WHEN 'dec' THEN 'decade' WHEN 'decs' THEN 'decade'
        WHEN 'epoch' THEN 'epoch'
        WHEN 'year' THEN 'year' WHEN 'years' THEN 'year' WHEN 'y' THEN 'year' WHEN 'yr' THEN 'year' WHEN 'yrs' THEN 'year'
        WHEN 'quarter' THEN 'quarter' WHEN 'quarters' THEN 'quarter' WHEN 'qtr' THEN 'quarter' WHEN 'qtrs' THEN 'quarter'
        WHEN 'month' THEN 'month' WHEN 'months' THEN 'month' WHEN 'mon' THEN 'month' WHEN 'mons' THEN 'month'
        WHEN 'week' THEN 'week' WHEN 'weeks' THEN 'week' WHEN 'w' THEN 'week'
        WHEN 'dayofweek' THEN 'dow' WHEN 'dow' THEN 'dow' WHEN 'dw' THEN 'dow' WHEN 'weekday' THEN 'dow'
        WHEN 'dayofyear' THEN 'doy' WHEN 'doy' THEN 'doy' WHEN 'dy' THEN 'doy' WHEN 'yearday' THEN 'doy'
        WHEN 'day' THEN 'day' WHEN 'days' THEN 'day' WHEN 'd' THEN 'day'
        WHEN 'hour' THEN 'hour' WHEN 'hours' THEN 'hour' WHEN 'h' THEN 'hour' WHEN 'hr' THEN 'hour' WHEN 'hrs' THEN 'hour'
        WHEN 'minute' THEN 'minute' WHEN 'minutes' THEN 'minute' WHEN 'm' THEN 'minute' WHEN 'min' THEN 'minute'
        WHEN 'mins' THEN 'minute'
        WHEN 'second' THEN 'second' WHEN 'seconds' THEN 'second' WHEN 's' THEN 'second' WHEN 'sec' THEN 'second'
        WHEN 'secs' THEN 'second'
        WHEN 'millisecond' THEN 'millisecond' WHEN 'milliseconds' THEN 'millisecond' WHEN 'ms' THEN 'millisecond'
        WHEN 'msec' THEN 'millisecond' WHEN 'msecs' THEN 'millisecond' WHEN 'msecond' THEN 'millisecond'
        WHEN 'mseconds' THEN 'millisecond' WHEN 'millisec' THEN 'millisecond' WHEN 'millisecs' THEN 'millisecond'
        WHEN 'millisecon' THEN 'millisecond'
        WHEN 'microsecond' THEN 'microsecond' WHEN 'microseconds' THEN 'microsecond' WHEN 'microsec' THEN 'microsecond'
        WHEN 'microsecs' THEN 'microsecond' WHEN 'microsecond' THEN 'microsecond' WHEN 'usecond' THEN 'microsecond'
        WHEN 'useconds' THEN 'microsecond' WHEN 'us' THEN 'microsecond' WHEN 'usec' THEN 'microsecond'
        WHEN 'usecs' THEN 'microsecond'
        WHEN 'timezone' THEN 'timezone' WHEN 'timezone_hour' THEN 'timezone_hour'
        WHEN 'timezone_minute' THEN 'timezone_minute'
        ELSE pg_catalog.concat('?', name) END;
END $body$;

CREATE OR REPLACE FUNCTION step(name text, amount bigint) RETURNS interval IMMUTABLE STRICT LANGUAGE plpgsql AS $body$
DECLARE unit text := redshift_compat.part(name);
BEGIN
    IF unit = 'quarter' THEN RETURN make_interval(months => (amount * 3)::int); END IF;
    IF unit IN ('dow', 'doy') THEN unit := 'day'; END IF;
    IF unit LIKE '?%' OR unit IN ('epoch', 'timezone', 'timezone_hour', 'timezone_minute') THEN
        RAISE EXCEPTION 'timestamp units "%" not recognized', name USING ERRCODE = '22023';
    END IF;
    RETURN pg_catalog.concat(amount, ' ', unit)::interval;
END $body$;

CREATE OR REPLACE FUNCTION dateadd(name text, amount bigint, start timestamp) RETURNS timestamp IMMUTABLE STRICT
    LANGUAGE sql RETURN start + redshift_compat.step(name, amount);
CREATE OR REPLACE FUNCTION dateadd(name text, amount bigint, start date) RETURNS timestamp IMMUTABLE STRICT
    LANGUAGE sql RETURN start::timestamp + redshift_compat.step(name, amount);
CREATE OR REPLACE FUNCTION dateadd(name text, amount bigint, start timestamptz) RETURNS timestamptz STABLE STRICT
    LANGUAGE sql RETURN start + redshift_compat.step(name, amount);
CREATE OR REPLACE FUNCTION dateadd(name text, amount bigint, start time) RETURNS time IMMUTABLE STRICT
    LANGUAGE sql RETURN start + redshift_compat.step(name, amount);
CREATE OR REPLACE FUNCTION date_add(name text, amount bigint, start timestamp) RETURNS timestamp IMMUTABLE STRICT
    LANGUAGE sql RETURN start + redshift_compat.step(name, amount);

-- How many borders of the part lie between; weeks begin on Sunday.
-- https://docs.aws.amazon.com/redshift/latest/dg/r_DATEDIFF_function.html
CREATE OR REPLACE FUNCTION datediff(name text, first timestamp, last timestamp) RETURNS bigint IMMUTABLE STRICT
LANGUAGE plpgsql AS $body$
DECLARE
    unit text := redshift_compat.part(name);
    years bigint := extract(year FROM last)::bigint - extract(year FROM first)::bigint;
BEGIN
    RETURN CASE unit
        WHEN 'millennium' THEN (extract(millennium FROM last) - extract(millennium FROM first))::bigint
        WHEN 'century' THEN (extract(century FROM last) - extract(century FROM first))::bigint
        WHEN 'decade' THEN (extract(decade FROM last) - extract(decade FROM first))::bigint
        WHEN 'year' THEN years
        WHEN 'quarter' THEN years * 4 + (extract(quarter FROM last) - extract(quarter FROM first))::bigint
        WHEN 'month' THEN years * 12 + (extract(month FROM last) - extract(month FROM first))::bigint
        WHEN 'week' THEN ((last::date - extract(dow FROM last)::int) - (first::date - extract(dow FROM first)::int)) / 7
        WHEN 'day' THEN last::date - first::date
        WHEN 'dow' THEN last::date - first::date
        WHEN 'doy' THEN last::date - first::date
        WHEN 'hour' THEN (extract(epoch FROM date_trunc('hour', last) - date_trunc('hour', first)) / 3600)::bigint
        WHEN 'minute' THEN (extract(epoch FROM date_trunc('minute', last) - date_trunc('minute', first)) / 60)::bigint
        WHEN 'second' THEN extract(epoch FROM date_trunc('second', last) - date_trunc('second', first))::bigint
        WHEN 'epoch' THEN extract(epoch FROM date_trunc('second', last) - date_trunc('second', first))::bigint
        WHEN 'millisecond' THEN
            (extract(epoch FROM date_trunc('milliseconds', last) - date_trunc('milliseconds', first)) * 1000)::bigint
        WHEN 'microsecond' THEN (extract(epoch FROM last - first) * 1000000)::bigint
        ELSE redshift_compat.unknown_part(name) END;
END $body$;
CREATE OR REPLACE FUNCTION unknown_part(name text) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION 'timestamp units "%" not recognized', name USING ERRCODE = '22023';
END $body$;
CREATE OR REPLACE FUNCTION datediff(name text, first date, last date) RETURNS bigint IMMUTABLE STRICT
    LANGUAGE sql RETURN redshift_compat.datediff(name, first::timestamp, last::timestamp);
CREATE OR REPLACE FUNCTION datediff(name text, first timestamptz, last timestamptz) RETURNS bigint STABLE STRICT
    LANGUAGE sql RETURN redshift_compat.datediff(name, first::timestamp, last::timestamp);
CREATE OR REPLACE FUNCTION datediff(name text, first date, last timestamp) RETURNS bigint IMMUTABLE STRICT
    LANGUAGE sql RETURN redshift_compat.datediff(name, first::timestamp, last);
CREATE OR REPLACE FUNCTION datediff(name text, first timestamp, last date) RETURNS bigint IMMUTABLE STRICT
    LANGUAGE sql RETURN redshift_compat.datediff(name, first, last::timestamp);
CREATE OR REPLACE FUNCTION date_diff(name text, first timestamp, last timestamp) RETURNS bigint IMMUTABLE STRICT
    LANGUAGE sql RETURN redshift_compat.datediff(name, first, last);

CREATE OR REPLACE FUNCTION date_part(name text, at timestamp) RETURNS int IMMUTABLE STRICT LANGUAGE sql RETURN
    CASE redshift_compat.part(name)
        WHEN 'millisecond' THEN (extract(milliseconds FROM at)::bigint % 1000)::int
        WHEN 'microsecond' THEN (extract(microseconds FROM at)::bigint % 1000000)::int
        WHEN 'epoch' THEN floor(extract(epoch FROM at))::int
        ELSE floor(pg_catalog.date_part(redshift_compat.part(name), at))::int END;
CREATE OR REPLACE FUNCTION date_part(name text, at date) RETURNS int IMMUTABLE STRICT
    LANGUAGE sql RETURN redshift_compat.date_part(name, at::timestamp);
CREATE OR REPLACE FUNCTION date_part(name text, at timestamptz) RETURNS int STABLE STRICT LANGUAGE sql RETURN
    CASE WHEN name LIKE 'timezone%' OR name = 'epoch' THEN floor(pg_catalog.date_part(name, at))::int
    ELSE redshift_compat.date_part(name, at::timestamp) END;
CREATE OR REPLACE FUNCTION date_part(name text, at time) RETURNS int IMMUTABLE STRICT
    LANGUAGE sql RETURN floor(pg_catalog.date_part(redshift_compat.part(name), at))::int;
CREATE OR REPLACE FUNCTION date_part(name text, amount interval) RETURNS int IMMUTABLE STRICT
    LANGUAGE sql RETURN floor(pg_catalog.date_part(redshift_compat.part(name), amount))::int;
CREATE OR REPLACE FUNCTION date_part_year(at date) RETURNS int IMMUTABLE STRICT
    LANGUAGE sql RETURN extract(year FROM at)::int;

CREATE OR REPLACE FUNCTION date_trunc(name text, at timestamp) RETURNS timestamp IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.date_trunc(redshift_compat.part(name), at);
CREATE OR REPLACE FUNCTION date_trunc(name text, at date) RETURNS timestamp IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.date_trunc(redshift_compat.part(name), at::timestamp);
CREATE OR REPLACE FUNCTION date_trunc(name text, at timestamptz) RETURNS timestamptz STABLE STRICT
    LANGUAGE sql RETURN pg_catalog.date_trunc(redshift_compat.part(name), at);

CREATE OR REPLACE FUNCTION trunc(at timestamp) RETURNS date IMMUTABLE STRICT LANGUAGE sql RETURN at::date;
CREATE OR REPLACE FUNCTION trunc(at date) RETURNS date IMMUTABLE STRICT LANGUAGE sql RETURN at;
CREATE OR REPLACE FUNCTION trunc(amount numeric) RETURNS numeric IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.trunc(amount);
CREATE OR REPLACE FUNCTION trunc(amount double precision) RETURNS double precision IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.trunc(amount);
CREATE OR REPLACE FUNCTION trunc(amount numeric, places int) RETURNS numeric IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.trunc(amount, places);
CREATE OR REPLACE FUNCTION trunc(amount double precision, places int) RETURNS double precision IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.trunc(amount::numeric, places)::double precision;

-- The last day of a month stays the last day: https://docs.aws.amazon.com/redshift/latest/dg/r_ADD_MONTHS.html
CREATE OR REPLACE FUNCTION last_day(at timestamp) RETURNS date IMMUTABLE STRICT LANGUAGE sql RETURN
    (pg_catalog.date_trunc('month', at) + interval '1 month - 1 day')::date;
CREATE OR REPLACE FUNCTION add_months(start timestamp, amount bigint) RETURNS timestamp IMMUTABLE STRICT LANGUAGE sql
RETURN CASE WHEN start::date = redshift_compat.last_day(start)
    THEN redshift_compat.last_day(start + make_interval(months => amount::int)) + (start - pg_catalog.date_trunc('day', start))
    ELSE start + make_interval(months => amount::int) END;
CREATE OR REPLACE FUNCTION months_between(first timestamp, last timestamp) RETURNS double precision IMMUTABLE STRICT
LANGUAGE sql RETURN
    (extract(year FROM first) - extract(year FROM last)) * 12 + (extract(month FROM first) - extract(month FROM last))
    + CASE WHEN first::date = redshift_compat.last_day(first) AND last::date = redshift_compat.last_day(last) THEN 0
      ELSE (extract(day FROM first) - extract(day FROM last)) / 31.0 END;
CREATE OR REPLACE FUNCTION next_day(at timestamp, name text) RETURNS date IMMUTABLE STRICT LANGUAGE plpgsql AS $body$
DECLARE
    wanted int := CASE left(lower(name), 2) WHEN 'su' THEN 0 WHEN 'mo' THEN 1 WHEN 'tu' THEN 2 WHEN 'we' THEN 3
        WHEN 'th' THEN 4 WHEN 'fr' THEN 5 WHEN 'sa' THEN 6 END;
BEGIN
    IF wanted IS NULL THEN
        RAISE EXCEPTION 'invalid day of the week: %', name USING ERRCODE = '22023';
    END IF;
    RETURN at::date + (7 + wanted - extract(dow FROM at)::int - 1) % 7 + 1;
END $body$;
CREATE OR REPLACE FUNCTION date_cmp(first date, last date) RETURNS int IMMUTABLE STRICT LANGUAGE sql RETURN
    pg_catalog.sign(first - last)::int;
CREATE OR REPLACE FUNCTION timestamp_cmp(first timestamp, last timestamp) RETURNS int IMMUTABLE STRICT LANGUAGE sql RETURN
    CASE WHEN first > last THEN 1 WHEN first < last THEN -1 ELSE 0 END;
CREATE OR REPLACE FUNCTION convert_timezone(zone text, at timestamp) RETURNS timestamp IMMUTABLE STRICT
    LANGUAGE sql RETURN at AT TIME ZONE 'UTC' AT TIME ZONE zone;
CREATE OR REPLACE FUNCTION convert_timezone(old text, new text, at timestamp) RETURNS timestamp IMMUTABLE STRICT
    LANGUAGE sql RETURN at AT TIME ZONE old AT TIME ZONE new;

-- Numbers.
CREATE OR REPLACE FUNCTION round(amount numeric) RETURNS numeric IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.round(amount);
CREATE OR REPLACE FUNCTION round(amount double precision) RETURNS double precision IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.round(amount);
CREATE OR REPLACE FUNCTION round(amount numeric, places int) RETURNS numeric IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.round(amount, places);
CREATE OR REPLACE FUNCTION round(amount double precision, places int) RETURNS double precision IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.round(amount::numeric, places)::double precision;
CREATE OR REPLACE FUNCTION dlog10(amount double precision) RETURNS double precision IMMUTABLE STRICT
    LANGUAGE sql RETURN log(amount);
CREATE OR REPLACE FUNCTION dlog1(amount double precision) RETURNS double precision IMMUTABLE STRICT
    LANGUAGE sql RETURN ln(amount);
CREATE OR REPLACE FUNCTION dexp(amount double precision) RETURNS double precision IMMUTABLE STRICT
    LANGUAGE sql RETURN exp(amount);
CREATE OR REPLACE FUNCTION sign(amount numeric) RETURNS numeric IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.sign(amount);
CREATE OR REPLACE FUNCTION sign(amount double precision) RETURNS double precision IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.sign(amount);
CREATE OR REPLACE FUNCTION cbrt(amount double precision) RETURNS double precision IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.cbrt(amount);
CREATE OR REPLACE FUNCTION to_hex(amount bigint) RETURNS text IMMUTABLE STRICT
    LANGUAGE sql RETURN pg_catalog.to_hex(amount);
CREATE OR REPLACE FUNCTION strtol(digits text, base int) RETURNS bigint IMMUTABLE STRICT LANGUAGE plpgsql AS $body$
DECLARE
    shown text := lower(ltrim(digits));
    negative boolean := left(shown, 1) = '-';
    found numeric := 0;
    one text;
BEGIN
    IF base < 2 OR base > 36 THEN
        RAISE EXCEPTION 'base must be between 2 and 36' USING ERRCODE = '22023';
    END IF;
    shown := ltrim(shown, '+-');
    IF base = 16 AND left(shown, 2) = '0x' THEN shown := substr(shown, 3); END IF;
    FOREACH one IN ARRAY regexp_split_to_array(shown, '') LOOP
        IF strpos(left('0123456789abcdefghijklmnopqrstuvwxyz', base), one) = 0 OR one = '' THEN
            RAISE EXCEPTION 'The input % is not valid to be converted to base %', digits, base USING ERRCODE = '22023';
        END IF;
        found := found * base + strpos('0123456789abcdefghijklmnopqrstuvwxyz', one) - 1;
    END LOOP;
    RETURN CASE WHEN negative THEN -found ELSE found END;
END $body$;

-- Texts.
CREATE OR REPLACE FUNCTION sha2(value text, bits int) RETURNS text IMMUTABLE STRICT LANGUAGE sql RETURN encode(
    CASE bits WHEN 224 THEN sha224(convert_to(value, 'UTF8')) WHEN 384 THEN sha384(convert_to(value, 'UTF8'))
    WHEN 512 THEN sha512(convert_to(value, 'UTF8')) WHEN 256 THEN sha256(convert_to(value, 'UTF8'))
    WHEN 0 THEN sha256(convert_to(value, 'UTF8')) END, 'hex');
CREATE OR REPLACE FUNCTION regexp_substr(value text, pattern text) RETURNS text IMMUTABLE STRICT
    LANGUAGE sql RETURN coalesce(pg_catalog.regexp_substr(value, pattern), '');
CREATE OR REPLACE FUNCTION regexp_substr(value text, pattern text, start int) RETURNS text IMMUTABLE STRICT
    LANGUAGE sql RETURN coalesce(pg_catalog.regexp_substr(value, pattern, start), '');
CREATE OR REPLACE FUNCTION regexp_substr(value text, pattern text, start int, nth int) RETURNS text IMMUTABLE STRICT
    LANGUAGE sql RETURN coalesce(pg_catalog.regexp_substr(value, pattern, start, nth), '');
CREATE OR REPLACE FUNCTION textlen(value text) RETURNS int IMMUTABLE STRICT LANGUAGE sql RETURN length(value);

-- SUPER: values of JSON, whose keys jsonb sorts.
CREATE OR REPLACE FUNCTION json_parse(value text) RETURNS jsonb IMMUTABLE STRICT LANGUAGE sql RETURN value::jsonb;
CREATE OR REPLACE FUNCTION compact(value jsonb) RETURNS text IMMUTABLE STRICT LANGUAGE plpgsql AS $body$
BEGIN
    RETURN CASE jsonb_typeof(value)
        WHEN 'object' THEN (SELECT '{' || coalesce(string_agg(to_json(k)::text || ':' || redshift_compat.compact(v), ','), '') || '}'
                            FROM jsonb_each(value) AS item(k, v))
        WHEN 'array' THEN (SELECT '[' || coalesce(string_agg(redshift_compat.compact(v), ',' ORDER BY n), '') || ']'
                           FROM jsonb_array_elements(value) WITH ORDINALITY AS item(v, n))
        WHEN 'string' THEN to_json(value #>> '{}')::text WHEN 'null' THEN 'null'
        ELSE value #>> '{}' END;
END $body$;
CREATE OR REPLACE FUNCTION "json_serialize"(value jsonb) RETURNS text IMMUTABLE STRICT LANGUAGE sql RETURN
    redshift_compat.compact(value);
CREATE OR REPLACE FUNCTION super_at(value jsonb, key text) RETURNS jsonb IMMUTABLE STRICT LANGUAGE sql RETURN
    CASE WHEN jsonb_typeof(value) = 'object' THEN value -> key END;
CREATE OR REPLACE FUNCTION super_at(value jsonb, place int) RETURNS jsonb IMMUTABLE STRICT LANGUAGE sql RETURN
    CASE WHEN jsonb_typeof(value) = 'array' AND place >= 0 THEN value -> place END;
CREATE OR REPLACE FUNCTION super_text(value jsonb) RETURNS text IMMUTABLE STRICT LANGUAGE sql RETURN
    CASE WHEN jsonb_typeof(value) IN ('object', 'array') THEN redshift_compat.compact(value) ELSE value #>> '{}' END;
CREATE OR REPLACE FUNCTION can_json_parse(value text) RETURNS boolean IMMUTABLE STRICT LANGUAGE sql RETURN value IS JSON;
CREATE OR REPLACE FUNCTION is_valid_json(value text) RETURNS boolean IMMUTABLE STRICT LANGUAGE sql RETURN
    value IS JSON OBJECT;
CREATE OR REPLACE FUNCTION is_valid_json_array(value text) RETURNS boolean IMMUTABLE STRICT LANGUAGE sql RETURN
    value IS JSON ARRAY;
CREATE OR REPLACE FUNCTION json_extract_path_text(value text, path text[], lenient boolean) RETURNS text IMMUTABLE STRICT
LANGUAGE plpgsql AS $body$
BEGIN
    IF lenient AND NOT (value IS JSON) THEN RETURN NULL; END IF;
    RETURN value::json #>> path;
END $body$;
CREATE OR REPLACE FUNCTION json_extract_array_element_text(value text, path text[], lenient boolean) RETURNS text
IMMUTABLE STRICT LANGUAGE plpgsql AS $body$
BEGIN
    IF path[1]::int < 0 OR (lenient AND NOT (value IS JSON)) THEN RETURN NULL; END IF;
    RETURN value::json ->> path[1]::int;
END $body$;

DO $casts$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_cast WHERE castsource = 'jsonb'::regtype AND casttarget = 'text'::regtype) THEN
        CREATE CAST (jsonb AS text) WITH FUNCTION redshift_compat.super_text(jsonb);
        CREATE CAST (jsonb AS varchar) WITH FUNCTION redshift_compat.super_text(jsonb);
    END IF;
END $casts$;
