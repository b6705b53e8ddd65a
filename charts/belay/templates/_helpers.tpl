{{- define "belay.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "belay.fullname" -}}
{{- $name := include "belay.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "belay.selector" -}}
app.kubernetes.io/name: {{ include "belay.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "belay.labels" -}}
{{ include "belay.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "belay.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "belay.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the ServiceAccount, or set serviceAccount.create" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "belay.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Rules that `targetKinds` adds to those of the operator. */ -}}
{{- define "belay.targetRules" -}}
{{- range .Values.targetKinds }}
{{ $.Files.Get (printf "files/targets/%s.yaml" .) }}
{{- end }}
{{- end }}

{{- define "belay.subject" -}}
- kind: ServiceAccount
  name: {{ include "belay.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "belay.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "belay.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "belay.configurationMount" -}}
{{- if .Values.instanceKinds -}}
volumeMounts:
- name: configuration
  mountPath: /etc/belay-operator
{{- end -}}
{{- end }}

{{- define "belay.configurationVolume" -}}
{{- if .Values.instanceKinds -}}
volumes:
- name: configuration
  configMap:
    name: {{ include "belay.fullname" . }}-configuration
{{- end -}}
{{- end }}
