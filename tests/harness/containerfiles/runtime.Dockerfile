ARG BASE
FROM ${BASE} AS whole
COPY runtime.py /
RUN ["python3", "/runtime.py", "/root/runtime"]
FROM scratch
COPY --from=whole /root/runtime /
ENV LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
CMD ["python3"]
