# SPDX-License-Identifier: MIT
# Airflow with this project and its pinned packages. Built by `docker compose build`.
FROM apache/airflow:3.3.2-python3.11

USER root
# mysqlclient is built from source. A volume that is mounted on one of the two folders takes its owner from it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libmariadb-dev pkg-config \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o airflow -g root -m 0775 /srv/app/storage/logs /srv/app/environment

USER airflow
COPY requirements.txt /opt/airflow/requirements.txt
RUN pip install --no-cache-dir -r /opt/airflow/requirements.txt

COPY --chown=airflow:root dags /opt/airflow/dags
COPY --chown=airflow:root plugins /opt/airflow/plugins
COPY --chown=airflow:root include /opt/airflow/include
# The stand-in application and Slack of the profile `demo`; nothing else imports it.
COPY --chown=airflow:root demo /opt/airflow/demo

# For `python -m processing_time.doctor`; Airflow itself finds the folder without it.
ENV PYTHONPATH=/opt/airflow/plugins
