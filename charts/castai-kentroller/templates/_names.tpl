{{- /* The values in force: what is absent has its default. `--reuse-values` keeps those of the chart before, which knew fewer. */ -}}
{{- define "castai-kentroller.values" -}}
{{- mergeOverwrite (include "castai-kentroller.defaults" . | fromJson) (.Values | toJson | fromJson) | toJson }}
{{- end }}

{{- define "castai-kentroller.name" -}}
{{- .Values.nameOverride | default "castai-kentroller" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "castai-kentroller.fullname" -}}
{{- .Values.fullnameOverride | default "castai-kentroller" | trunc 48 | trimSuffix "-" }}
{{- end }}

{{- define "castai-kentroller.account" -}}
{{- $values := include "castai-kentroller.values" . | fromJson }}
{{- $values.serviceAccount.name | default (ternary (include "castai-kentroller.fullname" .) "default" $values.serviceAccount.create) }}
{{- end }}

{{- /* What never changes in the life of a Deployment. */ -}}
{{- define "castai-kentroller.selector" -}}
app.kubernetes.io/name: {{ include "castai-kentroller.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "castai-kentroller.labels" -}}
{{ include "castai-kentroller.selector" . }}
app: {{ include "castai-kentroller.name" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "castai-kentroller.image" -}}
{{- $values := include "castai-kentroller.values" . | fromJson }}
{{- $repository := list $values.global.registry $values.image.repository | compact | join "/" | replace "//" "/" }}
{{- printf "%s:%s" $repository ($values.image.tag | default .Chart.AppVersion) }}
{{- end }}
