"""Words that messages, tables and job files of this product are made of, in small letters.

A password that is one of them hides nothing from anybody, and taking it out of every text would hide the text. A test
compares them with the tables, their columns, and the keys of a job file.
"""

_TEXT = """
    above accepted_at account acknowledged_at acknowledged_by action actual actuals adagrad address administrator
    again_after_days aggregates always anomalies anomaly anomaly_rate applied_calibration backfill backtest base_median
    baseline baseline_loss baseline_value batch_size below bottom_up bucket calendar calibration catch_up challenger
    champion champion_coverage champion_e_value champion_loss champion_version charts closed_at column columns completed
    context_length coverage coverage_evidence crashed created_at created_by credentials cutoff cutoffs dashboard
    database databases dead_after_steps default delay_hours delivery_errors details detectable_effect devices digest
    dimension direction dropout duckdb duplicates e_value effect enabled errors evaluated_on evidence expected failed
    fallback fallback_series false_alarms_per_year finished_at first_day first_timestamp folder forecast forecasting
    forecasts frequency future gpu_wait half_life held_out hierarchy hindcast_loss hindcast_nights hindcast_weight
    history holiday holidays horizon hourly in_sample infinite instability keep_days known_future known_future_from
    last_day last_sent_at last_timestamp layers learning_rate leave_out local_time localhost log_ratio lower_bound
    machine max_steps max_values median members message message_id messages method metric metrics min_actuals min_effect
    min_history missing missing_future model_version models monitor monthly network new_series_share newest nightcast
    nightly nights non_numeric notify observed_past off_grid opened_at optimizer origin other_signals out_of_bounds
    output parquet password patience policy postgres postgresql prefect private probability processes production
    promoted_at promotion psycopg public publication published_at publishing python quantile quantile_levels quantiles
    queued reason recorded_at reference_nights refused relation repeat_after_days replaces report report_url reports
    rescale rescore_steps residual retrain_after_days rmsprop rows_read run_id runner running scenario schedule
    scheduler scratch season_lengths seasonal second_run seconds secret segment segment_sums segments series
    series_embedding series_id served_from server service services set_values shard_series signal signals simple_rnn
    source special_baseline_loss special_definition special_loss special_n sqlite stale_after_steps started_at static
    static_embedding static_numbers statistic stderr stdout storage summary tables tail_counts targets tensorflow
    threshold time_limit time_zone timestamp tokens tolerance traceback train_mode train_on train_reason trained_until
    training unexpected unfinished unit_changes upper_bound username version versions vocabulary volume_classes
    warm_after_days warning webhook week_label weekday weekly worker workers worst_effect worst_segment yearly
"""
WORDS = frozenset(_TEXT.split())
