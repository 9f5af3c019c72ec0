{{/* The beginning of every name: at most 40 characters, since names of models follow, and 63 are allowed. */}}
{{- define "looksee.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* A model's name in names of objects, which have no underscore. */}}
{{- define "looksee.dashed" -}}
{{- . | replace "_" "-" -}}
{{- end }}

{{/* The labels that an object of a component is found by. Takes a dict of `root` and `component`. */}}
{{- define "looksee.selector" -}}
app.kubernetes.io/name: looksee
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "looksee.labels" -}}
{{ include "looksee.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* The names of the models that are enabled, comma separated. Refuses to render without any. */}}
{{- define "looksee.models" -}}
{{- $names := list -}}
{{- range $name, $model := .Values.models }}{{ if $model.enabled }}{{ $names = append $names $name }}{{ end }}{{ end -}}
{{- if not $names }}{{ fail "No model is enabled: set models.<name>.enabled, as --set models.moondream.enabled=true." }}{{ end -}}
{{- join "," $names -}}
{{- end }}

{{/* Settings as environment variables. Takes one map, in which later ones were merged over earlier ones. */}}
{{- define "looksee.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{/* What every container of ours has in its environment, beside its settings. */}}
{{- define "looksee.home" -}}
{{- $home := dict "BENTOML_HOME" "/tmp/looksee" "HF_HOME" .Values.weights.path -}}
{{- toYaml $home -}}
{{- end }}

{{/* Variables from the Secret, where it has them. Takes a dict of `secret` and `names`. */}}
{{- define "looksee.secrets" -}}
{{- range .names }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ $.secret }}, key: {{ . }}, optional: true}
{{- end }}
{{- end }}

{{- define "looksee.redisUrl" -}}
{{- if .Values.redis.enabled -}}
redis://{{ include "looksee.fullname" . }}-redis:6379/0
{{- else -}}
{{ .Values.redis.url }}
{{- end -}}
{{- end }}

{{/* Of pods whose node is lost or drained, not all at once. */}}
{{- define "looksee.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "looksee.selector" . | nindent 8 }}
{{- end }}

{{- define "looksee.place" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A pod is taken out of its Service before its process is told to end; then it answers what it has accepted. */}}
{{- define "looksee.ending" -}}
lifecycle:
  preStop:
    exec:
      command: ["sleep", {{ .Values.stopping.preStopSeconds | quote }}]
{{- end }}

{{- define "looksee.graceSeconds" -}}
{{- add .Values.stopping.preStopSeconds .Values.stopping.drainSeconds 10 -}}
{{- end }}
