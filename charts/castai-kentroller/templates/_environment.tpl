{{- /* What the program reads besides its dynamic configuration. */ -}}
{{- define "castai-kentroller.environment" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: DYNAMIC_CONFIG_MAP_NAME
  value: {{ include "castai-kentroller.fullname" . }}-dynamic-config
{{ include "castai-kentroller.env" (include "castai-kentroller.values" . | fromJson) }}
{{- end }}
